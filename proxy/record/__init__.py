"""The records of running requests."""
