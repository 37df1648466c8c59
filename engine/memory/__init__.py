"""The engine's memory: its limit on this machine, what takes it, and reservations of requests."""
