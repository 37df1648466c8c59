"""How a frame gets to the terminal: only what changed, and no more than the terminal takes."""
