from __future__ import annotations

from tui.client.inbox import Inbox
from tui.client.records import Link


def test_it_gives_back_in_order_and_in_portions() -> None:
    inbox = Inbox()
    for number in range(5):
        inbox.put(Link(attempt=number))
    first, _ = inbox.drain(3)
    rest, dropped = inbox.drain()
    assert [item.attempt for item in (*first, *rest) if isinstance(item, Link)] == [0, 1, 2, 3, 4]
    assert dropped == 0


def test_when_it_is_full_the_oldest_go_and_are_counted_once() -> None:
    inbox = Inbox(limit=2)
    for number in range(5):
        inbox.put(Link(attempt=number))
    items, dropped = inbox.drain()
    assert [item.attempt for item in items if isinstance(item, Link)] == [3, 4]
    assert dropped == 3
    assert inbox.drain() == ([], 0)
