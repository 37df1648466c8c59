"""Makes the bundled demo model: data, tokenizer, training and evaluation."""
