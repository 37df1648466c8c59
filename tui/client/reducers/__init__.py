"""What the store keeps: one reducer for each part of the picture."""
