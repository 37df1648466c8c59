"""What the timeline of Health shows, without a screen."""
