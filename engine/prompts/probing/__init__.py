"""Proves what a chat template does with conversations of every shape."""
