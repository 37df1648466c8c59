"""Grammars that generation is constrained by."""
