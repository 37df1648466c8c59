"""Tool calls as models write them: where one begins and ends, and what it says."""

from engine.tool_calls.call_format import CallFormat, ParsedCall, UnreadableCall, call_format

__all__ = ["CallFormat", "ParsedCall", "UnreadableCall", "call_format"]
