"""Session, agent and lane of a request: from hint headers, else from the body's shape.

Bodies are read before validation, so that refused requests are recorded too: nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.anthropic.prompt_prefix import is_subagent
from proxy.events.types import Lane

_LANE_OF_CLASS: dict[str, Lane] = {
    "main": "main",
    "subagent": "subagent",
    "workflow": "subagent",
    "compaction": "compaction",
    "auxiliary": "auxiliary",
}
_SESSION_IN_USER_ID = re.compile(r"session_([0-9A-Za-z-]{8,})")
_COMPACTION_WORDS = ("summary", "conversation", "detailed")


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """Session, agent and lane of one request; unknown texts are empty."""

    session: str
    agent: str
    agent_type: str
    prompt_id: str
    lane: Lane


def identify(headers: Mapping[str, str], body: Mapping[str, Any]) -> RequestOrigin:
    """The origin of a request, by its headers (names in lower case) and else by its body."""
    agent = headers.get("x-claude-code-agent-id", "")
    return RequestOrigin(
        session=headers.get("x-claude-code-session-id") or _session_of(body),
        agent=agent,
        agent_type=headers.get("x-claude-code-agent-type", ""),
        prompt_id=headers.get("x-claude-code-prompt-id", ""),
        lane=_lane_of_headers(headers) or _lane_of_body(body, agent, is_client=headers.get("x-app") == "cli"),
    )


def _lane_of_headers(headers: Mapping[str, str]) -> Lane | None:
    for name in ("x-claude-code-request-class", "x-claude-1p-request-class"):
        lane = _LANE_OF_CLASS.get(headers.get(name, "").strip().lower())
        if lane is not None:
            return lane
    return None


def _lane_of_body(body: Mapping[str, Any], agent: str, *, is_client: bool) -> Lane:
    """The lane of a request without a hint; `is_client`: an older Claude Code has sent it (2.1.197)."""
    if _asks_for_summary(body):
        return "compaction"
    if agent or is_subagent(body.get("system")):
        return "subagent"
    # Its conversations have tools and are streamed: what has neither is auto mode's question, or a count.
    aside = _wants_json(body) or (is_client and not body.get("stream"))
    if aside and not body.get("tools"):
        return "auxiliary"
    return "main"


def _wants_json(body: Mapping[str, Any]) -> bool:
    config = body.get("output_config")
    wanted = config.get("format") if isinstance(config, dict) else body.get("output_format")
    return isinstance(wanted, dict) and wanted.get("type") == "json_schema"


def _asks_for_summary(body: Mapping[str, Any]) -> bool:
    """Whether the last user text of a conversation begins with a request for a detailed summary."""
    messages = body.get("messages")
    if not isinstance(messages, list) or len(messages) < 3 or not isinstance(messages[-1], dict):
        return False
    last = messages[-1]
    start = _last_text(last.get("content"))[:400].lower() if last.get("role") == "user" else ""
    return all(word in start for word in _COMPACTION_WORDS)


def _session_of(body: Mapping[str, Any]) -> str:
    metadata = body.get("metadata")
    user_id = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user_id, str):
        return ""
    if user_id.startswith("{"):
        try:
            session = orjson.loads(user_id).get("session_id")  # an object, as it begins with a brace
        except orjson.JSONDecodeError:
            return ""
        return session if isinstance(session, str) else ""
    found = _SESSION_IN_USER_ID.search(user_id)
    return found.group(1) if found else ""


def _last_text(content: Any) -> str:
    if isinstance(content, str):
        return content
    for block in reversed(content if isinstance(content, list) else []):
        if isinstance(block, dict) and block.get("type") == "text" and isinstance(block.get("text"), str):
            return str(block["text"])
    return ""
