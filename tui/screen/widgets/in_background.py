"""Runs what a widget or a screen asks of the host beside its keys."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, cast

from textual.dom import DOMNode


def in_background(node: DOMNode, group: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `work` in place of what still runs in its `group`; its errors end neither screen nor app.

    `work` is called when its turn comes: of one that is replaced before, no coroutine is left that nobody
    awaits.
    """
    node.run_worker(cast(Any, work), name=group, group=group, exclusive=True, exit_on_error=False)
