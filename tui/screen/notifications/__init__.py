"""Calling a person who does not look at the screen."""
