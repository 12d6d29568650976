"""The ledger's database: tables, routines, views, rights, and what brings them into a server."""
