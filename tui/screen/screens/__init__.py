"""Full-screen views over the panes."""
