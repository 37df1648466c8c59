"""What the engine's prefix cache holds, as the screen and the commands show it."""
