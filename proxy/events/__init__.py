"""What happened, as typed events, and who is told of it."""
