"""Software of the host, captured by hash: what builds use of the system, and how it is noticed to change."""
