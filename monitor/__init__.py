"""Watches a node: metrics, health and readiness over HTTP, and `meterline doctor`. Changes nothing, anywhere."""
