"""No refusal of a chat template ends a session, and no content is lost without a note."""

from __future__ import annotations

import itertools
import json
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from engine.prompts.chat_template import check_template
from engine.prompts.refusal_fallbacks import TOOLS_AS_TEXT
from engine.prompts.rendering import PromptRefused, PromptRenderer
from tests.engine import templates
from tests.engine.template_shapes import Templated

Message = dict[str, Any]

TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {}}}
few = settings(
    suppress_health_check=list(HealthCheck),
    deadline=None,
    max_examples=40,
    phases=[Phase.explicit, Phase.generate],
)

BODY = """\
{{- '<|im_start|>system\\n' ~ (tools | tojson if tools else '') ~ '<|im_end|>\\n' -}}
{%- for m in messages -%}
{{- '<|im_start|>' ~ m.role ~ '\\n' -}}
{%- if m.reasoning_content is defined -%}{{- '<think>' ~ m.reasoning_content ~ '</think>' -}}{%- endif -%}
{{- m.content -}}
{%- for c in m.tool_calls or [] -%}
{{- '<call>' ~ c.function.name ~ c.function.arguments | tojson -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""

EACH = "{%- for m in messages -%}{%- if {} -%}{{- raise_exception('no {}') -}}{%- endif -%}{%- endfor -%}"
WHOLE = "{%- if {} -%}{{- raise_exception('no {}') -}}{%- endif -%}"


def _each(condition: str, what: str) -> str:
    return EACH.replace("{}", condition, 1).replace("{}", what, 1)


def _whole(condition: str, what: str) -> str:
    return WHOLE.replace("{}", condition, 1).replace("{}", what, 1)


# As in official templates: a conversation is refused if it has this anywhere.
REFUSALS = {
    "parallel calls": _each("m.tool_calls and m.tool_calls | length != 1", "parallel calls"),
    "text, thinking and a call": _each("m.tool_calls and m.content and m.reasoning_content", "three"),
    "text beside a call": _each("m.tool_calls and m.content", "text beside calls"),
    "a late system entry": _each("m.role == 'system' and not loop.first", "late system"),
    "any system entry": _each("m.role == 'system'", "system"),
    "a result without a call": _each(
        "m.role == 'tool' and (loop.first or loop.previtem.role not in ['tool', 'assistant'])", "orphan"
    ),
    "a call without a result": _each(
        "m.tool_calls and loop.nextitem is defined and loop.nextitem.role != 'tool'", "open call"
    ),
    "a user's turn behind a result": _each(
        "m.role == 'user' and not loop.first and loop.previtem.role == 'tool'", "user behind a result"
    ),
    "two turns of one role": _each(
        "not loop.first and m.role in ['user', 'assistant'] and loop.previtem.role == m.role", "repeated role"
    ),
    "an assistant at the start": _whole("messages[0].role == 'assistant'", "assistant first"),
    "no question": _whole(
        "messages | selectattr('role', 'equalto', 'user') | list | length == 0", "question"
    ),
    "a tool role": _each("m.role == 'tool'", "tool role"),
    "long ids": _each("m.tool_call_id is defined and m.tool_call_id | length != 9", "such ids"),
    "short ids": _each("m.tool_call_id is defined and m.tool_call_id | length < 9", "short ids"),
    "an empty turn": _each("m.content is not none and m.content | length == 0 and not m.tool_calls", "empty"),
    "tools": _whole("tools", "tools"),
    "tools without parameters": _whole("tools and not tools[0].function.parameters.properties", "bare tools"),
    "nine turns": _whole("messages | length > 8", "long talk"),
    "any answer": _each("m.role == 'assistant'", "answer"),
    "an answer that says so": _each("m.role == 'assistant' and m.content == 'so'", "so"),
    "everything": _whole("true", "nothing"),
}
# Found when a model loads: the rendering of a conversation's beginning never changes.
PROBED = [
    "parallel calls",
    "text, thinking and a call",
    "text beside a call",
    "a late system entry",
    "any system entry",
    "a result without a call",
    "a call without a result",
    "a user's turn behind a result",
    "two turns of one role",
    "long ids",
    "a tool role",
]


@pytest.fixture(scope="module")
def refusing(tokenizer: Any) -> Any:
    """A renderer whose template refuses the named case."""

    @lru_cache
    def make(*names: str) -> PromptRenderer:
        return PromptRenderer(Templated(tokenizer, "".join(REFUSALS[name] for name in names) + BODY))

    return make


def calling(number: int, count: int = 1, text: str = "", thinking: str = "", short: bool = False) -> Message:
    calls = [
        {
            "id": f"c{number}{at}" if short else f"call_{number}_{at}_0123456789",
            "type": "function",
            "function": {"name": "look", "arguments": json.dumps({"at": f"argument{number}x{at}"})},
        }
        for at in range(count)
    ]
    message = {"role": "assistant", "content": text, "tool_calls": calls}
    return message | ({"reasoning_content": thinking} if thinking else {})


def results(message: Message) -> list[Message]:
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": f"result-of-{call['id']}"}
        for call in message["tool_calls"]
    ]


@st.composite
def rounds(draw: st.DrawFn, number: int) -> list[Message]:
    """The messages that Claude Code and others send between two questions."""
    calls = calling(
        number,
        draw(st.integers(1, 3)),
        draw(st.sampled_from(["", f"said{number}"])),
        draw(st.sampled_from(["", f"thought{number}"])),
        draw(st.booleans()),
    )
    said = {"role": "assistant", "content": f"answer{number}"}
    user = {"role": "user", "content": f"question{number}"}
    system = {"role": "system", "content": f"system{number}"}
    orphan = {"role": "tool", "tool_call_id": "call_x_9_0123456789", "content": f"orphan{number}"}
    empty = {"role": "tool", "tool_call_id": calls["tool_calls"][0]["id"], "content": ""}
    return draw(
        st.sampled_from(
            [
                [said, user],
                [calls, *results(calls)],
                [calls, *results(calls), user],
                [calls, *results(calls), system],
                [calls, empty, said, user],
                [calls, user],
                [calls, *results(calls)[:-1], user],
                [said, user, system],
                [said, said | {"content": f"more{number}"}, user, user | {"content": f"again{number}"}],
                [said, user, orphan],
                [said, {"role": "user", "content": ""}],
            ]
        )
    )


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    lead = draw(
        st.sampled_from(
            [
                [{"role": "system", "content": "rules"}, {"role": "user", "content": "question"}],
                [{"role": "user", "content": "question"}],
                [{"role": "system", "content": "rules"}],
                [],
            ]
        )
    )
    more = [draw(rounds(number)) for number in range(draw(st.integers(0 if lead else 1, 4)))]
    return [*lead, *itertools.chain(*more)]


def words(message: Message) -> list[str]:
    calls = message.get("tool_calls") or []
    return [*message["content"].split(), *(json.loads(c["function"]["arguments"])["at"] for c in calls)]


@few
@given(names=st.lists(st.sampled_from(sorted(REFUSALS)), unique=True, max_size=4), messages=conversations())
def test_no_message_is_refused_or_lost(refusing: Any, names: list[str], messages: list[Message]) -> None:
    prompt = refusing(*names).render(messages, [TOOL], reasoning_effort="high")
    assert prompt.tokens
    notes = " ".join(prompt.notes)
    for message in messages:
        assert all(word in prompt.text for word in words(message)) or "does not show all" in notes
    assert "look" in prompt.text or "does not see them" in notes


@few
@given(
    names=st.lists(st.sampled_from(PROBED), unique=True, max_size=3),
    messages=conversations(),
    more=st.integers(5, 9).flatmap(rounds),
)
def test_the_rendered_prefix_stays_when_a_conversation_grows(
    refusing: Any, names: list[str], messages: list[Message], more: list[Message]
) -> None:
    renderer = refusing(*names)
    now, later = renderer.render(messages, [TOOL]), renderer.render([*messages, *more], [TOOL])
    if messages[-1]["role"] != "assistant" and any(message["role"] == "user" for message in messages):
        assert later.text.startswith(now.text.removesuffix("<|im_start|>assistant\n"))


@pytest.mark.parametrize(
    "name",
    [name for name in sorted(REFUSALS) if name not in {"everything", "any answer", "tools", "nine turns"}],
)
def test_accepted_messages_are_rendered_unchanged(refusing: Any, tokenizer: Any, name: str) -> None:
    messages = [
        {"role": "user", "content": "question"},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": "again"},
    ]
    plain = PromptRenderer(Templated(tokenizer, BODY)).render(messages)
    assert refusing(name).render(messages) == plain
    assert not plain.notes


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("parallel calls", "were split, each call with its result"),
        ("a user's turn behind a result", "joined to it"),
        ("any system entry", "folded"),
        ("a call without a result", "got one that says so"),
        ("short ids", "nine letters and digits"),
        ("any answer", "turns are rendered one by one"),
        ("an answer that says so", "transcript in one turn"),
        ("everything", "refuses even one turn of the user"),
        ("tools", "written out as text"),
    ],
)
def test_a_note_says_what_was_changed(refusing: Any, name: str, note: str) -> None:
    calls, single = calling(1, 2), calling(2, short=True)
    messages = [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": "question"},
        *(calls, *results(calls)),
        {"role": "user", "content": "stop"},
        *(single, {"role": "user", "content": "well"}),
        *(calling(3, short=True), *results(calling(3, short=True))),
        *({"role": role, "content": "so"} for role in ("assistant", "user") * 2),
    ]
    assert note in " ".join(refusing(name).render(messages, [TOOL]).notes)


def test_each_call_stands_with_its_result(refusing: Any) -> None:
    calls = calling(1, 3, text="said")
    later = [{"role": "user", "content": "question"}, calls, *results(calls)]
    text = refusing("parallel calls").render(later, [TOOL]).text
    order = [word for at in range(3) for word in (f"argument1x{at}", f"result-of-call_1_{at}_")]
    places = [text.index(word) for word in ["question", "said", *order]]
    assert places == sorted(places)
    assert text.count("<|im_start|>assistant") == 4


def test_an_answer_in_two_turns_is_recalled_as_one(refusing: Any) -> None:
    renderer = refusing("text beside a call")
    asked, answer = [{"role": "user", "content": "question"}], calling(1, text="said")
    prompt = renderer.render(asked, [TOOL])
    tokens = renderer.encode('said \n<call>look{"at" :  "argument1x0"}')
    renderer.remember(prompt, answer, tokens)
    later = renderer.render([*asked, answer, *results(answer)], [TOOL])
    assert later.tokens[: len(prompt.tokens) + len(tokens)] == [*prompt.tokens, *tokens]
    assert later.recalled[0].spelled.count("<|im_start|>assistant") == 2


def test_an_answer_of_two_calls_is_recalled_as_one(refusing: Any) -> None:
    renderer = refusing("parallel calls")
    asked, answer = [{"role": "user", "content": "question"}], calling(1, 2)
    prompt = renderer.render(asked, [TOOL])
    tokens = renderer.encode("both calls")
    renderer.remember(prompt, answer, tokens)
    later = renderer.render([*asked, answer, *results(answer)], [TOOL])
    assert later.tokens[: len(prompt.tokens) + len(tokens)] == [*prompt.tokens, *tokens]
    behind = later.text.partition("both calls")[2]
    assert [behind.count(f"result-of-call_1_{at}_") for at in (0, 1)] == [1, 1]
    assert "argument1x" not in behind


def test_a_fallback_keeps_the_beginning_of_a_conversation(refusing: Any) -> None:
    messages: list[Message] = [{"role": "user", "content": "question"}]
    renderer, before = refusing("short ids"), ""
    for number in range(4):
        calls = calling(number, short=True)
        messages = [*messages, calls, *results(calls)]
        text = renderer.render(messages, [TOOL]).text
        assert text.startswith(before)
        before = text


@pytest.mark.parametrize("at_load", [True, False])
@pytest.mark.parametrize(
    "source",
    ["{% for m in messages %}{{ m.content ", "{{ messages | nosuchfilter }}", REFUSALS["everything"]],
)
def test_a_prompt_without_a_usable_template_has_all_that_was_sent(
    tokenizer: Any, source: str, at_load: bool
) -> None:
    templated = Templated(tokenizer, source)
    if at_load:
        assert "messages are written to it as plain text" in check_template(templated)
    calls = calling(1)
    messages = [{"role": "user", "content": "hi"}, calls, *results(calls)]
    prompt = PromptRenderer(templated).render(messages, [TOOL])
    assert TOOLS_AS_TEXT in prompt.notes
    assert ("plain transcript" in " ".join(prompt.notes)) is not at_load
    assert all(word in prompt.text for word in ("hi", "argument1x0", "result-of-call_1_0_", "Looks."))


def test_a_message_that_the_template_drops_is_noted(tokenizer: Any) -> None:
    selecting = "{#- anyclaude: a selection -#}" + BODY.replace("in messages", "in messages[-2:]")
    renderer = PromptRenderer(Templated(tokenizer, selecting))
    turns = [{"role": role, "content": f"word{at}"} for at, role in enumerate(["user", "assistant", "user"])]
    assert "does not show all of message 1 (user) of 3" in " ".join(renderer.render(turns).notes)


def test_escaped_texts_count_as_rendered(tokenizer: Any) -> None:
    renderer = PromptRenderer(
        Templated(tokenizer, BODY.replace("{{- m.content -}}", "{{- m.content | tojson -}}"))
    )
    text = 'a "quoted"\n\tline of <tags> & ünïcode'
    assert not renderer.render([{"role": "user", "content": text}]).notes


def test_a_request_without_messages_is_refused(refusing: Any) -> None:
    with pytest.raises(PromptRefused, match="no messages"):
        refusing().render([])


EFFORTS = (
    "{%- if reasoning_effort is defined and reasoning_effort not in {} -%}"
    "{{- raise_exception('effort') -}}{%- endif -%}"
)


@pytest.mark.parametrize(
    ("taken", "asked", "put"),
    [
        ("['low', 'medium', 'xhigh']", "high", "xhigh"),
        ("['no_think', 'low', 'high']", "medium", "high"),
        ("['no_think', 'low', 'high']", "none", "no_think"),
        ("['low', 'medium', 'high']", "low", "low"),
        ("['low', 'medium', 'high']", "max", "high"),
        ("['low']", "xhigh", "low"),
        ("['of its own']", "high", None),
    ],
)
def test_a_refused_effort_is_replaced_by_the_nearest_accepted_one(
    tokenizer: Any, taken: str, asked: str, put: str | None
) -> None:
    shown = EFFORTS.replace("{}", taken) + "{{- 'effort=' ~ (reasoning_effort or 'none given') -}}" + BODY
    renderer = PromptRenderer(Templated(tokenizer, shown))
    prompt = renderer.render([{"role": "user", "content": "hi"}], **renderer.thinking_kwargs(asked))
    assert f"effort={put or 'none given'}" in prompt.text
    assert bool(prompt.notes) == (put != asked)
    assert not prompt.notes or f"{asked!r}" in prompt.notes[0]


def test_a_switch_that_is_refused_is_left_out_and_others_stay(tokenizer: Any) -> None:
    always = "{%- if enable_thinking is false -%}{{- raise_exception('I think always') -}}{%- endif -%}"
    renderer = PromptRenderer(Templated(tokenizer, always + "{{- style -}}" + BODY))
    prompt = renderer.render([{"role": "user", "content": "hi"}], enable_thinking=False, style="terse")
    assert "terse" in prompt.text
    assert "enable_thinking=False was left out" in prompt.notes[0]
    assert "I think always" in prompt.notes[0]


def test_the_system_text_is_first_in_each_turn(tokenizer: Any) -> None:
    moving = BODY.replace("{{- m.content -}}", "{{- m.content -}}{%- if loop.last and m.role == 'user' -%}"
        "{{- messages[0].content if messages[0].role == 'system' -}}{%- endif -%}").replace(
        "{%- for m in messages -%}", "{%- for m in messages if m.role != 'system' -%}")  # fmt: skip
    renderer = PromptRenderer(Templated(tokenizer, moving))
    messages = [{"role": "system", "content": "the rules"}, {"role": "user", "content": "question"}]
    first = renderer.render(messages, [TOOL])
    calls = calling(1)
    later = renderer.render([*messages, calls, *results(calls)], [TOOL])
    assert "the rules" in later.text
    assert later.text.startswith(first.text)


def test_an_early_gemma_template_renders_a_claude_code_session(tokenizer: Any) -> None:
    renderer = PromptRenderer(Templated(tokenizer, templates.ALTERNATING))
    calls = calling(1, 2, text="said", thinking="thought")
    messages = [
        {"role": "user", "content": "question"},
        calls,
        *results(calls),
        {"role": "user", "content": "stop"},
    ]
    prompt = renderer.render(messages, [TOOL])
    assert all(word in prompt.text for message in messages for word in words(message))
