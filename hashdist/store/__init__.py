"""The open store: paths, format, locks, and its three databases. It has no verbs."""
