"""Prompt text becomes tokens; a client's text never becomes control tokens."""
