"""The tools of a request, what their arguments may be, and the verdict on a call."""
