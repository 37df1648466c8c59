"""Generated tokens become what a client is shown: text, thinking, tool calls."""
