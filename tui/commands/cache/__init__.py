"""`anyclaude-tui cache`: what the prefix cache of a running host holds, and what a person changes in it."""
