"""Calls under load while everything breaks: `make faults` (docs/reliability.md)."""
