"""Calls that are not in their family's form: recovered, or returned as text."""
