"""`anyclaude-tui service`: a host that the system starts with the session, by systemd or launchd."""
