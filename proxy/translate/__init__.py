"""Anthropic Messages to and from an upstream model: pure functions and assemblers, no I/O."""
