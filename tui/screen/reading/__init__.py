"""One text read at length: Markdown rendered, code and JSON coloured, with line numbers and a search."""
