"""The parts of the Health pane."""
