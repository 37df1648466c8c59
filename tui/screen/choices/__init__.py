"""What the user chose of the screen: keys, colours, and what is remembered of the last time."""
