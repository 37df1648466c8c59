"""The tool call formats of model families, one module each."""
