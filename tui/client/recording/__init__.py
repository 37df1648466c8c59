"""Recordings on the screen's side: playing one, taking one from a host, and the bug bundle."""
