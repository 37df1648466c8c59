"""One trace in parts: what each of them shows, and what can be done with the trace."""
