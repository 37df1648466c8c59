"""The model's thread: admission, prefill, decoding, fault recovery, and the steps that requests get."""
