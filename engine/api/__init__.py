"""The HTTP side of the engine: OpenAI's chat completions, the models, health and statistics."""
