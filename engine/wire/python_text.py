"""Python's syntax in texts: what a model wrote, and files of packages that are not run.

In Python 3.11 two threads that parse at the same time may fail with a SystemError, however plain their text
is: they count together how deep they are. So all threads of a process parse here, one after the other.
"""

from __future__ import annotations

import ast
import threading
from typing import Any

_PARSING = threading.Lock()


def parse_statements(text: str) -> ast.Module:
    """The statements of a text.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it is no Python.
    """
    with _PARSING:
        return ast.parse(text)


def parse_literal(text: str) -> Any:
    """The plain value that a text spells.

    Raises:
        SyntaxError, ValueError, TypeError, RecursionError, MemoryError: it spells none.
    """
    with _PARSING:
        found = ast.parse(text.lstrip(" \t"), mode="eval")
    return ast.literal_eval(found)
