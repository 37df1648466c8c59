"""A conversation becomes a prompt, by the model's own chat template."""
