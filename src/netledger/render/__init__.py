"""A `Ledger` → characters. One module a format; what formats share is in `common`."""
