"""Completion in shells: what may come next in a command line, told before click is loaded."""
