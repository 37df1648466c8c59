"""Readers and grammars of call formats, for the families that share them."""
