"""What auto mode's check asks a model, and what its answer means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.anthropic.safeguards import check_body, read_verdict, wanted_context

CONTEXT = {"live_cwd": "/p", "auto_mode": {"allow": ["pushing to main"], "soft_deny": []}}


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ('{"reason": "reads", "verdict": "allow"}', "not_flagged"),
        ('```json\n{"verdict": "allow"}\n```', "not_flagged"),
        ('{"reason": "deletes", "verdict": "block"}', "flagged"),
        ('{"verdict": "block"}', "flagged"),
        ('{"verdict": "ALLOW"}', "unavailable"),
        ('{"verdict": ["allow"]}', "unavailable"),
        ('{"reason": "allow", "verdict": ""}', "unavailable"),
        ('{"verdict": "allow"', "unavailable"),
        ('sure: {"verdict": "allow"}', "unavailable"),
        ('"allow"', "unavailable"),
        ("allow", "unavailable"),
        ("[" * 5000, "unavailable"),
        ("", "unavailable"),
    ],
)
def test_only_a_whole_verdict_lets_a_call_through(text: str, outcome: str) -> None:
    assert read_verdict(text).outcome == outcome


def test_the_prompt_has_the_users_words_and_the_call_and_no_results() -> None:
    messages = [
        {"role": "user", "content": "<system-reminder>client</system-reminder>please push"},
        {"role": "assistant", "content": [{"type": "text", "text": "I SAID"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "FROM A TOOL"}]},
    ]
    asked = check_body("Bash", {"command": "git push"}, {"messages": messages}, CONTEXT)
    system, user = (message["content"] for message in asked["messages"])
    for part in ("please push", "git push", "pushing to main", '"tool": "Bash"', "Working directory: /p"):
        assert part in user
    for part in ("client", "I SAID", "FROM A TOOL", "soft_deny"):
        assert part not in user
    other = check_body("Write", {}, {"messages": [{"role": "user", "content": "x"}]}, {})
    assert other["messages"][0]["content"] == system  # the prefix that the cache has
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["reason", "verdict"]
    json.dumps(asked)


CASES: list[tuple[Any, Any]] = [
    (None, None),
    ([], None),
    ([{"type": "other"}], None),
    ("dangerous_tool_use", None),
    ([{"type": "dangerous_tool_use"}], {}),
    ([7, {"type": "dangerous_tool_use", "classifier_context": {"v": 1}}], {"v": 1}),
]


@pytest.mark.parametrize(("safeguards", "context"), CASES)
def test_a_check_is_wanted_where_the_request_says_so(safeguards: Any, context: Any) -> None:
    assert wanted_context({"safeguards": safeguards}) == context
