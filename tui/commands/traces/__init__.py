"""`anyclaude-tui traces`: the record of each request, with or without a host that runs."""
