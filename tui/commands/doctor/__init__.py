"""`anyclaude-tui doctor`: the health check, one module a group of checks."""
