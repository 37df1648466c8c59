"""Supervision of the engine: start, health checks, restart."""
