"""What each command of `anyclaude-tui` does; `tui.cli` only reads the command line."""
