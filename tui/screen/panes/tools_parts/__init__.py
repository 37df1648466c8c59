"""What the Tools pane is made of."""
