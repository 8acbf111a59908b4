"""EasyBuild on top of a store: what its configuration names, and profiles of what it installed.

What lies in ``glue/`` runs inside EasyBuild, under whatever Python that has, with nothing but the standard library; it
talks to ``hdist --json``.
"""
