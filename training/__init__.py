"""How the bundled demo model was made: data, tokenizer, training and evaluation."""
