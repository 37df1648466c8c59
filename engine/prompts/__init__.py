"""Renders a conversation as a prompt, with the model's own chat template."""
