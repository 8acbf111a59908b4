"""Prefixes in environments: search variables, loading and unloading, scripts of shells, modulefiles. Usable alone."""
