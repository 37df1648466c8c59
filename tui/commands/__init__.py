"""The commands of `anyclaude-tui`; `tui.cli` only parses the command line."""
