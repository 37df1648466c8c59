"""Reads the files of a model folder without mlx, for the engine, the proxy and the commands."""
