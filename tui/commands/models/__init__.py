"""`anyclaude-tui models`: what is on this machine, download, removal, measurements."""
