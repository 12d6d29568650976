"""The ledger under fire: acknowledged operations across kills of the database, and routines that are broken off."""
