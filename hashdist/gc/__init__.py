"""Garbage collection: what no root reaches, and was not reached for a while, goes."""
