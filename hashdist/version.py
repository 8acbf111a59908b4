"""The version, for the package and for `hdist --version`."""

__version__ = "0.1.0"
