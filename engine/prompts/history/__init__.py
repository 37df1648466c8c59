"""Answers of the past in a prompt."""
