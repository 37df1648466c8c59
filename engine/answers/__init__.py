"""Generated tokens become what a client gets: text, thinking, tool calls."""
