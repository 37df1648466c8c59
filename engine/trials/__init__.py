"""What is found out about a model by running it when it loads."""
