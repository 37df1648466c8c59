"""The five panes of the control center."""
