"""One regular expression for many texts.

Python's `re` tries thousands of alternatives one by one. So the texts are put into a trie, and the expression
follows the trie.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any


def longest_of(texts: Collection[str]) -> re.Pattern[str]:
    """A pattern for the longest of these texts at a position; its time does not depend on their number."""
    tree: dict[str, Any] = {}
    for text in texts:
        node = tree
        for character in text:
            node = node.setdefault(character, {})
        node[""] = {}
    return re.compile(_branches(tree) if tree else r"(?!)")


def _branches(node: dict[str, Any]) -> str:
    options = list(_options(node))
    if "" in node:
        return f"(?:{'|'.join(options)})?" if options else ""
    return options[0] if len(options) == 1 else f"(?:{'|'.join(options)})"


def _options(node: dict[str, Any]) -> Iterator[str]:
    for text, child in node.items():
        if text:
            run = text
            while len(child) == 1 and "" not in child:
                [(more, child)] = child.items()
                run += more
            yield re.escape(run) + _branches(child)
