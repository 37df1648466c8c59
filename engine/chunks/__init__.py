"""Prefill chunks: their boundaries by position, their size by machine, and a check of it on real prefills."""
