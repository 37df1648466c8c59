"""What many traces say together: facts in the index, sums, differences, search."""
