"""Reads Anthropic requests: validation, lane, preview, tool results, documents."""
