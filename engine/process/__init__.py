"""What a child process needs, free of mlx: its parent, its socket, its BLAS, who may ask."""
