"""What differs between two prompts, in words, rows and stretches of lines."""
