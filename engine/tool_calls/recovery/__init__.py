"""Calls that did not come in their family's form: read anyhow, or returned as text."""
