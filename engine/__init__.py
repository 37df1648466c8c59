"""The MLX inference server: an OpenAI-compatible server in its own right."""
