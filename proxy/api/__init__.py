"""The Anthropic API and the host's own, as HTTP."""
