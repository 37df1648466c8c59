"""Readers and grammars of call formats, shared by families."""
