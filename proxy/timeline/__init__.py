"""A host's health over time, and its log with levels: the same code in the host and in a screen."""
