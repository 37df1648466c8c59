"""What a model folder's files say, read without mlx: the proxy and the commands ask as well."""
