"""What the client's requests say of themselves: their shape, lane, preview, results."""
