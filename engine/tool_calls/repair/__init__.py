"""Repair of broken arguments, where the meaning is certain."""
