"""The record of each request: writing, indexing, redacting and reading it."""
