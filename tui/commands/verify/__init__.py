"""`anyclaude-tui verify`: checks on the user's machine and model."""
