"""What a person asks of host and engine from the screen."""
