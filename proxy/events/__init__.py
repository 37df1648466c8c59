"""What happened, as typed events, and who listens to them."""
