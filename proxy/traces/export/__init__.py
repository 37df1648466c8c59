"""Traces in other programs' formats: JSON lines, HAR, OpenTelemetry, one HTML page."""
