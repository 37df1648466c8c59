"""What the command palette finds: commands, sessions, requests, traces, lists, themes, settings."""
