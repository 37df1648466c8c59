"""Chat templates put together from what templates of real models do, with the bytes of each answer marked.

A shape's text has `@(` and `@)` around what it writes for an answer. `plain` is the template as a model has
it; `telling` writes private-use characters and the message's number there, so that a test knows the bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

OPEN, NUMBER_END, CLOSE = "\ue100", "\ue102", "\ue101"
_TOLD = re.compile(f"{OPEN}(\\d+){NUMBER_END}|{CLOSE}")

_CALLS = {
    "json": '\'\\n<tool_call>\\n{"name": "\' ~ c.function.name ~ \'", "arguments": \''
    " ~ c.function.arguments | tojson ~ '}\\n</tool_call>'",
    "sorted": "'<call>' ~ c.function.name ~ (c.function.arguments | dictsort | tojson) ~ '</call>'",
    "bare": "c.function.name ~ '(' ~ c.function.arguments | tojson ~ ')'",
    "with the id": "'[' ~ c.id ~ c.function.name ~ c.function.arguments | tojson ~ ']'",
}
_THINKING = {
    "never": "",
    "always": "{{- '<think>\\n' ~ (m.reasoning_content or '') ~ '\\n</think>\\n\\n' -}}",
    "where there is some": "{%- if m.reasoning_content -%}"
    "{{- '<think>' ~ m.reasoning_content ~ '</think>' -}}{%- endif -%}",
    "behind the last question": "{%- if loop.index0 > ns.last -%}"
    "{{- '<think>\\n' ~ (m.reasoning_content or '') ~ '\\n</think>\\n\\n' -}}{%- endif -%}",
    "an empty block": "{{- '<think></think>' -}}",
}
_RESULTS = (
    "{%- set seen = namespace(more=true) -%}{%- for k in range(loop.index0 + 1, messages | length) -%}"
    "{%- if messages[k].role != 'tool' -%}{%- set seen.more = false -%}"
    "{%- elif seen.more -%}{{- '<result>' ~ messages[k].content ~ '</result>' -}}{%- endif -%}{%- endfor -%}"
)


@dataclass(frozen=True)
class Shape:
    calls: str
    thinking: str
    results: (
        str  # "turn", "merged" into a user's turn, "by the call", "backwards", "with the call's arguments"
    )
    end: str  # what closes a turn: a token that ends answers, another one, or text
    opening: str
    text_last: bool  # an answer's text stands behind its results
    only_answered: bool  # a call without a result is not shown
    numbered: bool
    trimmed: bool
    last_question_first: bool
    last_answer_first: bool
    refuses_orphans: bool
    clock: bool

    @property
    def plain(self) -> str:
        return self._source("", "")

    @property
    def telling(self) -> str:
        return self._source(f"{{{{- '{OPEN}' ~ loop.index0 ~ '{NUMBER_END}' -}}}}", f"{{{{- '{CLOSE}' -}}}}")

    def _source(self, opened: str, closed: str) -> str:
        return self._shape().replace("@(", opened).replace("@)", closed)

    def _shape(self) -> str:
        end = f"{{{{- '{self.end}' -}}}}"
        said = "{{- m.content | trim -}}" if self.trimmed else "{{- m.content -}}"
        number = "{{- loop.index0 ~ '. ' -}}" if self.numbered else ""
        calls = f"{{%- for c in m.tool_calls or [] -%}}{{{{- {_CALLS[self.calls]} -}}}}{{%- endfor -%}}"
        if self.only_answered:
            answered = "loop.nextitem is defined and loop.nextitem.role == 'tool'"
            calls = f"{{%- if {answered} -%}}{calls}{{%- endif -%}}"
        answer = f"@({_THINKING[self.thinking]}{'' if self.text_last else said}{calls}@)"
        if self.results == "by the call":
            answer += _RESULTS
        if self.text_last:
            answer += f"@({said}@)"
        return "".join(
            [
                "{{- strftime_now('%f') -}}" if self.clock else "",
                "{%- set ns = namespace(last=-1, called=false) -%}{%- for m in messages -%}",
                "{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}",
                "{{- '<|im_start|>system\\n' ~ (tools | tojson if tools else '') ~ '<|im_end|>\\n' -}}",
                "{%- if ns.last >= 0 -%}{{- messages[ns.last].content -}}{%- endif -%}"
                if self.last_question_first
                else "",
                "{%- for m in messages if m.role == 'assistant' -%}{%- if loop.last -%}{{- m.content -}}"
                "{%- endif -%}{%- endfor -%}"
                if self.last_answer_first
                else "",
                "{%- for m in messages -%}{%- if m.role == 'assistant' -%}",
                f"{number}{{{{- '<|im_start|>assistant\\n' -}}}}{answer}{end}",
                "{%- set ns.called = m.tool_calls is defined -%}",
                f"{{%- elif m.role == 'tool' -%}}{self._tool_turn()}",
                f"{{%- else -%}}{number}{{{{- '<|im_start|>' ~ m.role ~ '\\n' ~ m.content -}}}}{end}",
                "{%- endif -%}{%- endfor -%}",
                "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n"
                + self.opening
                + "' -}}{%- endif -%}",
            ]
        )

    def _tool_turn(self) -> str:
        orphans = "{%- if not ns.called -%}{{- raise_exception('a result without a call') -}}{%- endif -%}"
        turns = {
            "turn": "{{- '<|im_start|>tool\\n' ~ m.content ~ '<|im_end|>\\n' -}}",
            "merged": "{%- if loop.previtem.role != 'tool' -%}{{- '<|im_start|>user' -}}{%- endif -%}"
            "{{- '\\n<tool_response>' ~ m.content ~ '</tool_response>' -}}"
            "{%- if loop.nextitem is not defined or loop.nextitem.role != 'tool' -%}"
            "{{- '<|im_end|>\\n' -}}{%- endif -%}",
            "by the call": "",
            "backwards": "{%- if loop.previtem.role != 'tool' -%}"
            "{%- for k in range(messages | length - 1, loop.index0 - 1, -1) if messages[k].role == 'tool' -%}"
            "{{- '<result>' ~ messages[k].content ~ '</result>' -}}{%- endfor -%}{%- endif -%}",
            "with the call's arguments": "{%- if loop.previtem.tool_calls -%}"
            "{{- 'to ' ~ loop.previtem.tool_calls[0].function.arguments | tojson -}}{%- endif -%}"
            "{{- '<result>' ~ m.content ~ '</result>' -}}",
        }
        return (orphans if self.refuses_orphans else "") + turns[self.results]


SHAPES = st.builds(
    Shape,
    calls=st.sampled_from(sorted(_CALLS)),
    thinking=st.sampled_from(sorted(_THINKING)),
    results=st.sampled_from(["turn", "merged", "by the call", "backwards", "with the call's arguments"]),
    end=st.sampled_from(["<|im_end|>\\n", "<|im_start|>", "\\n", "\\n\\n###\\n", "</s>", ""]),
    opening=st.sampled_from(["", "<think>\\n", "<think>\\n\\n</think>\\n\\n"]),
    text_last=st.booleans(),
    only_answered=st.booleans(),
    numbered=st.booleans(),
    trimmed=st.booleans(),
    last_question_first=st.integers(0, 5).map(lambda n: n == 0),
    last_answer_first=st.integers(0, 5).map(lambda n: n == 0),
    refuses_orphans=st.booleans(),
    clock=st.integers(0, 9).map(lambda n: n == 0),
)


class Templated:
    """A tokenizer with another chat template; all else is the first one's."""

    has_chat_template = True

    def __init__(self, tokenizer: Any, template: str) -> None:
        self._first = tokenizer
        self.chat_template = template

    def apply_chat_template(self, messages: list[Any], **options: Any) -> Any:
        return self._first.apply_chat_template(messages, **{"chat_template": self.chat_template} | options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first, name)


def answer_bytes(told: str) -> tuple[str, dict[int, list[tuple[int, int]]]]:
    """A text that a `telling` template made, without its marks, and where the bytes of each answer stand."""
    places: dict[int, list[tuple[int, int]]] = {}
    plain, at, opened = "", 0, (0, 0)
    for mark in _TOLD.finditer(told):
        plain += told[at : mark.start()]
        at = mark.end()
        if mark[1]:
            opened = int(mark[1]), len(plain)
        elif opened[1] < len(plain):
            spans = places.setdefault(opened[0], [])
            first = spans.pop()[0] if spans and spans[-1][1] == opened[1] else opened[1]
            spans.append((first, len(plain)))
    return plain + told[at:], places
