"""The shapes that the engine writes and its clients read, free of mlx."""
