"""Tokens of the parts of a prompt, as the engine counted them."""
