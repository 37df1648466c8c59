"""The marks around thinking, of all model families."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

HARMONY_START = "<|channel|>analysis<|message|>"

THINKING_MARKS: Mapping[str, tuple[str, ...]] = {
    "<think>": ("</think>",),
    "<thinking>": ("</thinking>",),
    "<seed:think>": ("</seed:think>",),
    "<mm:think>": ("</mm:think>",),
    "<think:opensource>": ("</think:opensource>",),
    "<longcat_think>": ("</longcat_think>",),
    "[THINK]": ("[/THINK]",),
    "<|START_THINKING|>": ("<|END_THINKING|>",),
    "<|inner_prefix|>": ("<|inner_suffix|>",),
    "<|think|>": ("<|/think|>", "<|end|>", "</think>"),
    "<|think:start|>": ("<|think:end|>",),
    "<|open|>think<|sep|>": ("<|close|>think<|sep|>",),
    "<|channel>thought": ("<channel|>",),
    HARMONY_START: (
        "<|end|>",
        "<|end|><|start|>assistant",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "◁think▷": ("◁/think▷",),
}
"""Each opening mark of thinking, with its end marks."""

THINKING_FORMATS: Mapping[str, str] = {
    "think": "<think>",
    "thinking": "<thinking>",
    "seed": "<seed:think>",
    "minimax": "<mm:think>",
    "hy3": "<think:opensource>",
    "longcat": "<longcat_think>",
    "mistral": "[THINK]",
    "cohere": "<|START_THINKING|>",
    "apertus": "<|inner_prefix|>",
    "solar": "<|think|>",
    "think_start": "<|think:start|>",
    "kimi_k3": "<|open|>think<|sep|>",
    "gemma4": "<|channel>thought",
    "harmony": HARMONY_START,
    "kimi_vl": "◁think▷",
}
"""The opening mark of each name for `--thinking-format`."""

ENDS = tuple(
    dict.fromkeys(end for ends in THINKING_MARKS.values() for end in ends if not end.startswith("<|end|>"))
)
"""The marks that end only thinking: one without an opening mark means that the text before it is thinking."""

_TAG = re.compile(r"</?[\w:]+>")


def is_tag(mark: str) -> bool:
    """Whether a mark looks like markup, so that people write it in text as well."""
    return _TAG.fullmatch(mark) is not None


def marks_named(name: str) -> tuple[str, str]:
    """The marks that `--thinking-format` names.

    Raises:
        ValueError: none have that name.
    """
    start = THINKING_FORMATS.get(name)
    if start is None:
        known = ", ".join(sorted(THINKING_FORMATS))
        raise ValueError(f"there is no thinking format {name!r}; known are {known}")
    return start, THINKING_MARKS[start][0]


def marks_that_end(start: str, end: str) -> tuple[str, ...]:
    """The marks that end a thought opened by `start`; the model's own `end` first."""
    return tuple(dict.fromkeys([end, *THINKING_MARKS.get(start, ())]))


def marks_of_model(template: str, vocabulary: Collection[str]) -> tuple[str, str] | None:
    """The marks of a model: both are tokens of it, or both are in its chat template."""
    for start, ends in THINKING_MARKS.items():
        for end in ends:
            if start in vocabulary and end in vocabulary:
                return start, end
    for start, ends in THINKING_MARKS.items():
        for end in ends:
            if start in template and end in template:
                return start, end
    return None


def ends_inside(prompt: str, starts: Iterable[str] = THINKING_MARKS) -> bool:
    """Whether a prompt ends with a mark that opens thinking."""
    said = prompt[-200:].rstrip()
    return any(start and said.endswith(start) for start in starts)
