"""Tokenizes prompts; a client's text never becomes control tokens."""
