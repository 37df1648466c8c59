"""The control center: the only place that knows Textual."""
