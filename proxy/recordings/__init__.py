"""Recordings: the feed of a host in one file, to be sent to somebody or shown again without that host."""
