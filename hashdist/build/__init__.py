"""Builds: from specs to sealed artifacts, in dependency order, each in its own directory and environment."""
