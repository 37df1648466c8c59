"""Upstream models behind one protocol."""
