"""The tool call formats of model families: the kinds of descriptions, the families, and their detection."""
