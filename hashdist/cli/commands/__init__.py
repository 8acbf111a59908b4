"""One module for each command of the table; each has a click command named ``command``."""
