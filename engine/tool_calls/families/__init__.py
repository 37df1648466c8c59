"""One module a model family: how it writes tool calls."""
