"""Tool calls of the model families: finding, parsing and checking them in generated text."""
