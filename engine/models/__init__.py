"""Loads models from their folders."""
