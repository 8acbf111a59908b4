"""Find the commit, and within it the packages, with which something began to go wrong."""
