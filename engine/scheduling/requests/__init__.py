"""A request on the model's thread: its input, its state and the steps it reports."""
