"""The Anthropic Messages API in front of a model, the record of what passed, and the engine's supervisor."""
