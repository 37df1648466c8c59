"""Whatever a template does: content is kept, a prompt begins as the one before, history is as generated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bench.template_report.own_templates import OWN_TEMPLATES
from engine.prompts.history.meaning import meaning_of, means_the_same
from engine.prompts.rendering import PromptRenderer, RenderedPrompt
from tests.engine.template_shapes import Templated

Message = dict[str, Any]

_PARAMETERS = {"type": "object", "properties": {"path": {"type": "string", "description": "descpath"}}}
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "description": f"desc{name}", "parameters": _PARAMETERS},
    }
    for name in ("look", "write")
]
few = settings(
    suppress_health_check=list(HealthCheck),
    deadline=None,
    max_examples=25,
    phases=[Phase.explicit, Phase.generate],
)


@dataclass(frozen=True)
class Quirks:
    """A template of ours, and what is put before it: refusals that combine with its trait."""

    name: str
    refusals: frozenset[str]

    @property
    def template(self) -> str:
        lines = {
            "late system": "m.role == 'system' and not loop.first",
            "orphans": "m.role == 'tool' and (loop.first or loop.previtem.role not in ['tool', 'assistant'])",
            "open calls": "m.tool_calls and loop.nextitem is defined and loop.nextitem.role != 'tool'",
            "user behind a result": "m.role == 'user' and not loop.first and loop.previtem.role == 'tool'",
        }
        checks = "".join(
            f"{{%- if {lines[refusal]} -%}}{{{{- raise_exception('{refusal}') -}}}}{{%- endif -%}}"
            for refusal in sorted(self.refusals)
        )
        return f"{{%- for m in messages -%}}{checks}{{%- endfor -%}}{OWN_TEMPLATES[self.name]}"


QUIRKS = st.builds(
    Quirks,
    st.sampled_from(sorted(OWN_TEMPLATES)),
    st.frozensets(
        st.sampled_from(["late system", "orphans", "open calls", "user behind a result"]), max_size=2
    ),
)


class Session:
    """A conversation turn by turn, with each answer kept; its words are unique."""

    def __init__(self, renderer: PromptRenderer, data: st.DataObject) -> None:
        self.renderer, self.data = renderer, data
        self.messages: list[Message] = [
            {"role": "system", "content": "rulesword"},
            {"role": "user", "content": "firstword"},
        ]
        self.words = ["rulesword", "firstword"]
        self.number = 0

    def word(self, kind: str) -> str:
        self.number += 1
        self.words.append(f"{kind}{self.number}w")
        return self.words[-1]

    def answer(self) -> tuple[Message, Message, str]:
        """An answer as the client gets it, as it sends it back, and as the model wrote it."""
        count = self.data.draw(st.integers(0, 3))
        text = self.word("said") if not count or self.data.draw(st.booleans()) else ""
        got: Message = {"role": "assistant", "content": text}
        back: Message = dict(got)
        arguments = [{"path": self.word("path"), "size": 2.0, "text": "a  \nb"} for _ in range(count)]
        if count:
            names = [self.data.draw(st.sampled_from(["look", "write"])) for _ in range(count)]
            ids = [f"toolu_{self.number:04}{at:04}" for at in range(count)]
            got["tool_calls"] = [_call(*one) for one in zip(ids, names, arguments, strict=True)]
            sent = [{"all": False, "text": "a\nb", "size": 2, "path": one["path"]} for one in arguments]
            back["tool_calls"] = [_call(*one) for one in zip(ids, names, sent, strict=True)]
        if self.data.draw(st.booleans()):
            back["reasoning_content"] = "I think."
        calls = self.renderer._texts.calls(got.get("tool_calls", [])).replace("\udfff", "")
        written = f"I  think.\n</think>\n{text}\n{calls}".rstrip()
        return got, back, written

    def follow(self, answer: Message) -> list[Message]:
        """What comes behind an answer: results, and perhaps something of the user or the system."""
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": self.word("result")}
            for call in answer.get("tool_calls", [])
        ]
        more = self.data.draw(st.sampled_from(["", "user", "system"])) if results else "user"
        return [*results, *([{"role": more, "content": self.word(more)}] if more else [])]

    def play(self, rounds: int) -> RenderedPrompt:
        """Rounds of answers; each prompt begins with the one before and the answer to it."""
        written: list[int] = []
        for _ in range(rounds):
            prompt = self.renderer.render(self.messages, TOOLS)
            assert prompt.tokens[: len(written)] == written
            got, back, text = self.answer()
            tokens = self.renderer.encode(text)
            self.renderer.remember(prompt, got, tokens)
            written = [*prompt.tokens, *tokens]
            self.messages += [back, *self.follow(got)]
        prompt = self.renderer.render(self.messages, TOOLS)
        assert prompt.tokens[: len(written)] == written
        return prompt


def _call(call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


@pytest.fixture(scope="module")
def quirky(tokenizer: Any) -> Any:
    return lru_cache(lambda quirks: PromptRenderer(Templated(tokenizer, quirks.template)))


@few
@given(quirks=QUIRKS, data=st.data())
def test_a_session_is_kept_whole_and_continues_the_cache(
    quirky: Any, quirks: Quirks, data: st.DataObject
) -> None:
    renderer = quirky(quirks)
    session = Session(renderer, data)
    prompt = session.play(data.draw(st.integers(1, 4)))
    for word in (*session.words, "desclook", "descwrite", "descpath"):
        assert word in prompt.text, (word, prompt.notes)
    fresh = renderer.text(session.messages, TOOLS)[0]
    assert all(word in fresh for word in session.words)


@few
@given(quirks=QUIRKS)
def test_a_changed_answer_is_rendered_as_it_was_sent(quirky: Any, quirks: Quirks) -> None:
    renderer = quirky(quirks)
    messages = [{"role": "user", "content": "question"}]
    prompt = renderer.render(messages, TOOLS)
    got = {"role": "assistant", "content": "", "tool_calls": [_call("toolu_1", "look", {"path": "oldpath"})]}
    renderer.remember(prompt, got, renderer.encode("look at oldpath"))
    back = got | {"tool_calls": [_call("toolu_1", "look", {"path": "newpath"})]}
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": "seen"}
    text = renderer.render([*messages, back, result], TOOLS).text
    assert "newpath" in text
    assert "oldpath" not in text


@pytest.mark.parametrize(
    ("kept", "sent", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": 1}, {"replace_all": False, "a": 1}, True),
        ({"a": 1, "b": None}, {"a": 1}, True),
        ({"a": "x  \ny\n"}, {"a": "x\ny"}, True),
        ({"a": [{"b": 2.0}]}, {"a": [{"b": 2}]}, True),
        ({"a": "x"}, {"a": "y"}, False),
        ({"a": "  x"}, {"a": "x\n z"}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": 0}, {"a": False}, False),
        ({"a": 1}, {"a": 1, "replace_all": True}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": "1"}, {"a": 1}, False),
    ],
)
def test_inputs_are_compared_by_meaning(kept: dict[str, Any], sent: dict[str, Any], same: bool) -> None:
    one, other = ({"role": "assistant", "tool_calls": [_call("c", "look", a)]} for a in (kept, sent))
    assert means_the_same(meaning_of(one), other) is same


def test_another_tool_or_text_is_another_answer() -> None:
    one = {"role": "assistant", "content": "Done.", "tool_calls": [_call("c", "look", {})]}
    kept = meaning_of(one)
    assert means_the_same(kept, one | {"content": " Done.\n"})
    assert not means_the_same(kept, one | {"content": "Not done."})
    assert not means_the_same(kept, one | {"tool_calls": [_call("c", "write", {})]})
    assert not means_the_same(kept, {"role": "assistant", "content": "Done."})
    assert not means_the_same("no json", one)
