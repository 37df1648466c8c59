"""In a thought nothing is a call: as the answer is read, and as its grammar lets it be written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import make_prompt_cache

from engine.answers.pieces import AnswerStyle, Call, CallOpened, Composing, Piece, Remark, Text, Thinking
from engine.answers.reader import AnswerText
from engine.constrained.answer_grammar import AnswerRules
from engine.constrained.grammar import AnswerGuide, Grammars, token_masks
from engine.models.loading import load_model
from engine.scheduling.batch import DecodeBatch, Slot
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.quoted.thinking_marks import THINKING_MARKS
from engine.tool_calls.reading.family import Family
from engine.tool_calls.schemas.tools import ToolSchema, ToolSchemas
from tests.engine.byte_tokens import ByteTokens
from tests.engine.constrained.test_guided_decoding import join_held, until_end
from tests.engine.scheduling.test_batch import prompt
from tests.engine.spelling import Spelling
from tests.engine.tool_calls.call_making import OF_EACH_KIND
from tests.models import ModelShelf

BASH = ToolSchema(
    "Bash",
    {
        "type": "object",
        "properties": {"command": {"type": "string"}},
        "required": ["command"],
        "additionalProperties": False,
    },
)
TOOLS = ToolSchemas([BASH])
HERMES = family_named("hermes")
REMOVE = HERMES.write([("Bash", {"command": "rm -r build"})], TOOLS)
TOKENS = ByteTokens()

every_mark = pytest.mark.parametrize(("start", "ends"), THINKING_MARKS.items())
every_family = pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)


def read(style: AnswerStyle, *texts: str, cut: bool = False) -> list[Piece]:
    reader = AnswerText(Spelling(list(texts)), style)
    pieces = [piece for token in range(len(texts)) for piece in reader.add(token)]
    return [*pieces, *reader.finish(truncated=cut)]


def said(pieces: list[Piece]) -> tuple[str, str, int]:
    """The thinking, the text, and how many calls there are."""
    thinking = "".join(piece.text for piece in pieces if isinstance(piece, Thinking))
    text = "".join(piece.text for piece in pieces if isinstance(piece, Text))
    return thinking, text, sum(isinstance(piece, Call | CallOpened) for piece in pieces)


def in_every_cut(style: AnswerStyle, text: str) -> tuple[str, str, int]:
    found = {
        said(read(style, *(text[at : at + size] for at in range(0, len(text), size)))) for size in (1, 7)
    }
    found.add(said(read(style, text)))
    assert len(found) == 1
    return found.pop()


@every_mark
@pytest.mark.parametrize("known", [True, False], ids=["the model's own", "of a model that is not known"])
def test_a_call_in_a_thought_is_thinking(start: str, ends: tuple[str, ...], known: bool) -> None:
    for end in ends[:1]:
        style = AnswerStyle(tools=TOOLS, think_start=start if known else "", think_end=end if known else "")
        thought = f"I might {REMOVE} but no."
        assert in_every_cut(style, f"{start}\n{thought}\n{end}\n\nI ask first.") == (
            thought,
            "I ask first.",
            0,
        )
        inside = replace(style, opens_thinking=True)
        if known or not end.startswith("<|end|>"):
            assert in_every_cut(inside, f"{thought}\n{end}\n\nI ask.") == (thought, "I ask.", 0)


@every_family
@pytest.mark.parametrize("held", [True, False])
def test_no_family_has_a_call_in_a_thought(family: Family, held: bool) -> None:
    guaranteed = frozenset({"Bash"} if held else ())
    style = AnswerStyle(
        family=family, tools=TOOLS, think_start="<think>", think_end="</think>", constrained=guaranteed
    )
    call = family.write([("Bash", {"command": "rm"})], TOOLS)
    assert in_every_cut(style, f"<think>so\n{call}\nnot</think>Done")[1:] == ("Done", 0)
    assert in_every_cut(replace(style, opens_thinking=True), f"so\n{call}\nnot</think>Done")[1:] == (
        "Done",
        0,
    )
    meant = family.write([("Bash", {"command": "ls"})], TOOLS)
    pieces = read(style, f"<think>so\n{call}\nnot</think>\n\n{meant}")
    assert [piece.arguments for piece in pieces if isinstance(piece, Call)] == ['{"command": "ls"}']


@every_family
def test_a_call_at_the_end_of_a_thought_that_never_ended_is_shown(family: Family) -> None:
    style = AnswerStyle(family=family, tools=TOOLS, think_start="<think>", think_end="</think>")
    call = family.write([("Bash", {"command": "rm"})], TOOLS)
    for text in (f"<think>so\n{call}", f"<think>so\n{call}\n"):
        thinking, shown, calls = in_every_cut(style, text)
        assert (thinking.strip(), shown.strip(), calls) == ("so", call, 0)
        notes = [piece.text for piece in read(style, text) if isinstance(piece, Remark)]
        assert any("thought that nothing follows" in note for note in notes)
    thinking, shown, calls = said(read(style, f"<think>so\n{call}", cut=True))
    assert (thinking, shown, calls) == (f"so\n{call}", "", 0)


OWN = AnswerStyle(family=HERMES, tools=TOOLS, think_start="<think>", think_end="</think>")


@pytest.mark.parametrize(
    ("text", "shown", "calls"),
    [
        ("Put `<think>` before it.\n" + REMOVE, "Put `<think>` before it.", 1),
        ("```\n<think>\n```\n" + REMOVE, "```\n<think>\n```", 1),
        ("The <think> tag opens it.\n\n" + REMOVE, "The <think> tag opens it.", 1),
        ("Between <think> and </think> it thinks.", "Between <think> and </think> it thinks.", 0),
        ("The file ends with </think>\nand so on.", "The file ends with </think>\nand so on.", 0),
        (f"I see. <think>maybe {REMOVE} no</think>", f"I see. <think>maybe {REMOVE} no</think>", 0),
        ("\n</think>\n\nHello", "Hello", 0),
        ("</think>Hello", "Hello", 0),
        (f"Models write `{REMOVE.replace(chr(10), ' ')}` for it.", None, 0),
        (f"So:\n```\n{REMOVE}\n```\nend", None, 0),
        (f"> {REMOVE}", None, 0),
        ("what is <think>", "what is <think>", 0),
    ],
)
def test_marks_that_are_only_mentioned_swallow_nothing(text: str, shown: str | None, calls: int) -> None:
    assert in_every_cut(OWN, text) == ("", text if shown is None else shown, calls)


def test_a_mark_before_a_line_break_opens_a_thought_wherever_it_stands() -> None:
    text = f"Let me see. <think>\nOne way is\n{REMOVE}\nbut no.</think>Done."
    assert in_every_cut(OWN, text) == (f"One way is\n{REMOVE}\nbut no.", "Let me see.Done.", 0)


def test_a_mark_that_the_prompt_has_opened_already_is_no_thinking() -> None:
    assert in_every_cut(replace(OWN, opens_thinking=True), "<think>\nhm</think>Hi") == ("hm", "Hi", 0)


def rules(start: str, end: str, family: Family = HERMES, **more: Any) -> AnswerRules:
    marks = (start, end)
    return AnswerRules(family=family, tools=(BASH,), thinking=marks, marks=marks, **more)


GRAMMARS = Grammars(TOKENS, TOKENS.eos)


def allows(at: AnswerGuide, text: str) -> bool:
    """Whether the text may follow, letter by letter."""
    for token in TOKENS.bytes_only(text):
        masks = token_masks([at], 300)
        if masks is not None and not masks[0][token]:
            return False
        at.advance(token)
    return True


@pytest.mark.parametrize(("start", "end"), [("<think>", "</think>"), ("[THINK]", "[/THINK]")])
@pytest.mark.parametrize("choice", ["auto", "required"])
@pytest.mark.parametrize("parallel", [True, False])
def test_under_a_grammar_a_thought_is_closed_before_a_call_is_opened(
    start: str, end: str, choice: Any, parallel: bool
) -> None:
    call = '<tool_call>{"name": "Bash", "arguments": {"command": "ls"}}</tool_call>'
    for opened in (True, False):
        grammar = GRAMMARS.compile(rules(start, end, opens_thinking=opened, choice=choice, parallel=parallel))
        begun = "" if opened else start
        assert allows(grammar.guide(), f"{begun}hm <tool_call")
        assert not allows(grammar.guide(), f"{begun}hm <tool_call>")
        assert allows(grammar.guide(), f"{begun}hm{end}\n\n{call}")
        assert not allows(grammar.guide(), f"{begun}hm{end}\n\n<tool_call>x")


BORDER = "<|end|>"
FRAGMENTS = st.sampled_from(
    [
        *("a", " ", "\n", "\n\n", "`", "```", "```\n", "\n```\n", "> ", BORDER),
        *("<think>", "</think>", "[THINK]", "[/THINK]"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(FRAGMENTS, max_size=10).map("".join),
    st.sampled_from([("<think>", "</think>"), ("[THINK]", "[/THINK]")]),
    st.booleans(),
    st.sampled_from(["<tool_call>", "<function="]),
)
def test_a_grammar_binds_calls_where_the_reader_reads_them(
    before: str, marks: tuple[str, str], opened: bool, opening: str
) -> None:
    start, end = marks
    family = family_named("qwen3_coder")
    style = AnswerStyle(
        family=family,
        tools=TOOLS,
        think_start=start,
        think_end=end,
        opens_thinking=opened,
        constrained=frozenset({"Bash"}),
        drop=(BORDER,),
    )
    text = before + opening
    reads = any(isinstance(piece, Composing) for piece in read(style, *text))
    at = GRAMMARS.compile(rules(start, end, family, opens_thinking=opened, layout=(BORDER,))).guide()
    binds = allows(at, text) and not allows(at, "x")
    assert binds == reads


@pytest.mark.slow
@pytest.mark.parametrize("opened", [True, False])
def test_a_model_that_would_call_before_it_closes_its_thought_closes_it_first(
    shelf: ModelShelf, opened: bool
) -> None:
    """A real model with a will of its own: a call at once, else the end of the thought, else its end."""
    loaded = load_model(shelf.tiny("qwen3"))
    vocabulary = loaded.tokenizer.get_vocab()
    go = ToolSchema("Go", {"type": "object", "properties": {}, "additionalProperties": False})
    marks = ("<think>", "</think>")
    asked = AnswerRules(
        family=HERMES, tools=(go,), parallel=False, thinking=marks, marks=marks, opens_thinking=opened
    )
    wishes = {vocabulary["<tool_call>"]: 3e4, vocabulary["</think>"]: 2e4} | dict.fromkeys(
        loaded.eos_token_ids, 1e4
    )
    bias = [wishes.get(token, 0.0) for token in range(loaded.model.args.vocab_size)]
    guided = Grammars(loaded.tokenizer, loaded.eos_token_ids).compile(asked)
    begun = [] if opened else [vocabulary["<think>"]]
    slot = Slot([], lambda logits: mx.argmax(logits + mx.array(bias), axis=-1), guide=guided.guide(begun))
    batch = DecodeBatch(loaded.model)
    join_held(batch, make_prompt_cache(loaded.model), loaded.model, prompt(1, 20), slot)
    tokens = begun + until_end(batch, loaded, [slot])[0]
    tools = ToolSchemas([go])
    style = AnswerStyle(
        family=HERMES,
        tools=tools,
        think_start="<think>",
        think_end="</think>",
        opens_thinking=opened,
        constrained=frozenset({"Go"}),
    )
    reader = AnswerText(loaded.tokenizer.detokenizer, style)
    pieces = [piece for token in tokens for piece in reader.add(token)] + reader.finish()
    assert tokens[len(begun)] == vocabulary["</think>"]
    assert [piece.name for piece in pieces if isinstance(piece, Call)] == ["Go"]
    assert said(pieces)[:2] == ("", "")
