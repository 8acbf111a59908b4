"""Bring what was recorded elsewhere into a profile: merge, cherry-pick, revert, and the choices they leave."""
