"""A request on the model's thread: what is asked, how it stands, what is told of it."""
