"""The list of traces: its rows in the index, filters as SQL, pages."""
