"""Verbs that need several others: commit, update, build, checkout, status, diff. The command line calls these."""
