"""The tools of a request, the schemas of their arguments, and the verdict on a call."""
