"""Benchmarks: each figure is compared with a peer or a floor measured in the same run."""
