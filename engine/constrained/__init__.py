"""Grammars for constrained decoding."""
