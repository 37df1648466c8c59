"""What a machine allows the engine in memory, and what a request takes of it; read without mlx."""
