"""The control center: the only package that imports Textual."""
