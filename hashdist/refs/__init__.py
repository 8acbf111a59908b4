"""Refs: mutable, found by name. Profiles, tags, checkouts, and the index of sources and artifacts."""
