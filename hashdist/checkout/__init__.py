"""Checkouts: prefixes of links made from profiles, and the switch from one to another."""
