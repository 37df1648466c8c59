"""What a person changes of a running host: its model, its settings."""
