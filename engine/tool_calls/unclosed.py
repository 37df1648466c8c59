"""Is a call still open where its end mark was seen? Then the mark stands inside of an argument.

A model that writes a file about tool calls writes `</tool_call>` into it.
"""

from __future__ import annotations

import json


def is_unclosed(text: str) -> bool:
    """Whether a call in JSON ends inside of a string, or one in function tags before its `</function>`."""
    head = text.lstrip()
    if head.startswith("{"):
        return _ends_in_string(head)
    if head.startswith("<function="):
        return "</function>" not in head
    return False


def _ends_in_string(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except json.JSONDecodeError as error:
        return error.msg.startswith("Unterminated string")
    return False
