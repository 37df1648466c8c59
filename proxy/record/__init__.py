"""What is known of each request while it runs."""
