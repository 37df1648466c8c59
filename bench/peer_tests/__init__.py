"""The parser tests of other servers, read by this engine."""
