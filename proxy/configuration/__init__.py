"""The settings of a host: where each comes from, what it may be, and what they add up to."""
