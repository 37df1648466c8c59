"""Keeps the engine running: starts it, watches it, restarts it."""
