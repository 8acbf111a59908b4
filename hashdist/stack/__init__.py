"""Stack files, the presets they use, the locks that pin them, and the specs that follow from both."""
