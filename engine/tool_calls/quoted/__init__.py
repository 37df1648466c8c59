"""Calls and thinking in a text stream: which count, and which the text only quotes."""
