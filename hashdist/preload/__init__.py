"""The jail: a library preloaded into every process of a command, under which undeclared files are found, or hidden.

Usable alone: `Rules` say what may be used, `Jail` runs a command under them, `Report` tells what else was used.
"""
