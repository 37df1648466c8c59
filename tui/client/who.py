"""Who in a session asks, in the same word on every pane."""

from __future__ import annotations

SIDE = "side"  # a request beside the conversation, of which nothing says what it is for


def who_asks(lane: str, agent_type: str = "", purpose: str = "") -> str:
    """The lane; of a subagent its kind, of a side request what it is for, as far as that is known."""
    match lane:
        case "subagent":
            return agent_type or lane
        case "auxiliary":
            return purpose or SIDE
    return lane
