"""Finders: each kind of host entry (``dpkg:``, ``path:`` …) is a module with one function that finds."""
