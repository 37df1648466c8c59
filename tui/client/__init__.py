"""A host's client: its feed, its state, and the store that both the screen and tests read."""
