"""The jail: a preload library under which undeclared dependencies are seen. Knows no git and no store; usable alone.

Nothing is here yet. What comes here may import `hashdist.fsutil`, `hashdist.process` and `hashdist.errors` only.
"""
