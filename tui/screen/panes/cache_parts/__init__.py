"""The parts of the Cache pane: totals, what is held, what was wanted."""
