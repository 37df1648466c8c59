"""Widgets that draw live data line by line."""
