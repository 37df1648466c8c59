"""How many tokens an upstream's answers have per character, learned from those that it has counted."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.backends.upstream import TextDelta, ThinkingDelta, ToolCallDelta, UpstreamEvent

_LEARNT_FROM = 200  # characters of an answer, at least: in shorter ones marks that nobody sees dominate
_MOST = 2.0  # tokens per character; more are tokens of thinking that is not sent


class AnswerRate:
    """The rate by the last answer that was long enough; 0 before there is one."""

    def __init__(self) -> None:
        self.tokens_per_character = 0.0

    def measured(self, characters: int, tokens: int) -> None:
        """Learn from an answer that the upstream has counted."""
        if tokens and characters >= _LEARNT_FROM and tokens / characters <= _MOST:
            self.tokens_per_character = tokens / characters


def characters_of(steps: Iterable[UpstreamEvent]) -> int:
    """The characters of text, thinking and arguments."""
    return sum(
        len(step.arguments if isinstance(step, ToolCallDelta) else step.text)
        for step in steps
        if isinstance(step, TextDelta | ThinkingDelta | ToolCallDelta)
    )
