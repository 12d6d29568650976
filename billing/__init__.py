"""The engine of Meterline: rating, quotes, grants, the ledger client. Knows no SIP, no proxy, no web."""
