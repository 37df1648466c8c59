from __future__ import annotations

import pytest

from proxy.backends.upstream import TokenEstimates
from proxy.events.types import Usage
from proxy.translate.usage_count import ESTIMATED, NOT_KNOWN, PROMPT_NOT_KNOWN, UsageCount


@pytest.mark.parametrize(
    ("prompt", "rate", "usage", "note"),
    [
        (100, 0.5, Usage(input_tokens=100, output_tokens=4), ESTIMATED),
        (0, 0.5, Usage(output_tokens=4), PROMPT_NOT_KNOWN),
        (0, 0.0, Usage(output_tokens=1), NOT_KNOWN),
    ],
)
def test_an_interrupted_answer_says_how_it_was_counted(
    prompt: int, rate: float, usage: Usage, note: str
) -> None:
    count = UsageCount(Usage())
    count.estimates(TokenEstimates(prompt, rate))
    count.piece("12345678")
    assert count.interrupted(began=True) == (usage, note)
