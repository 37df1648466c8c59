"""How long the chunks of a prompt are: by position, by machine, and as real prefills go."""
