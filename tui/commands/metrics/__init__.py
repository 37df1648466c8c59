"""`anyclaude-tui metrics`."""
