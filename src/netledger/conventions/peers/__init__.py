"""The ways in which other tools count, from our ledger alone: the tools are not needed."""
