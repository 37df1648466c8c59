"""Widgets that draw changing data line by line."""
