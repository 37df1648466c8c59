"""What can be set of an engine and of its host: each setting declared once, and what its values may be."""
