"""Tool calls as what they are: a diff for an edit, a file for a write, a command for a shell."""
