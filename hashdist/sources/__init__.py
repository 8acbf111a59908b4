"""Sources: where upstream's files come from, how they are verified, and the pins that say what was taken."""
