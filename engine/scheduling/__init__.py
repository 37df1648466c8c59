"""The model's thread: who is prefilled, who decodes, and what each request is told."""
