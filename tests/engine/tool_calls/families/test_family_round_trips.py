"""Every family: written calls are read back equal, however the answer is split."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.tool_calls.families.notation_format import GemmaFormat
from engine.tool_calls.families.registry import FAMILIES, family_named
from engine.tool_calls.families.tagged_format import TaggedFormat
from engine.tool_calls.reading.family import Family
from tests.engine.tool_calls.call_making import MARKS, OF_EACH_KIND, TOOLS, calls, texts
from tests.engine.tool_calls.reading import read, read_by

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
every_kind = pytest.mark.parametrize("family", OF_EACH_KIND, ids=lambda family: family.name)
few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
some = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@every_family
@few
@given(data=st.data())
def test_written_calls_are_read_back(family: Family, data: st.DataObject) -> None:
    made = data.draw(calls(family))
    before, behind = data.draw(texts(family)), data.draw(texts(family))
    written = family.write(made, TOOLS)
    text = before + written + behind
    # The text before must not form a mark with the call.
    assume(min(text.find(mark) for mark in family.openings if mark in text) == len(before))
    cuts = data.draw(st.lists(st.integers(1, len(text)), max_size=12))
    whole = read(family, text, TOOLS)
    assert whole.calls == made
    assert not whole.broken
    assert (whole.texts or [""])[0].startswith(before)
    assert read(family, text, TOOLS, cuts) == whole
    assert read_by(1, family, text, TOOLS) == whole


@every_kind
@some
@given(data=st.data())
def test_calls_with_text_between_are_all_read(family: Family, data: st.DataObject) -> None:
    made = data.draw(calls(family))
    between = data.draw(st.lists(texts(family), min_size=len(made) + 1, max_size=len(made) + 1))
    text = between[0]
    for call, behind in zip(made, between[1:], strict=True):
        text += family.write([call], TOOLS) + " " + behind + "\n"
    places = [text.find(mark) for mark in family.openings if mark in text]
    assume(min(places) == len(between[0]))
    assume(not any(mark in piece for piece in between for mark in family.openings))
    whole = read(family, text, TOOLS)
    assert whole.calls == made
    assert read_by(1, family, text, TOOLS) == whole


@pytest.mark.parametrize("name", ["qwen3_coder", "seed_oss", "gemma4", "function_gemma"])
@few
@given(data=st.data())
def test_several_calls_in_a_section_that_mostly_has_one_are_read(name: str, data: st.DataObject) -> None:
    family = family_named(name)
    made = data.draw(calls(family))
    assert isinstance(family, TaggedFormat | GemmaFormat)
    end = family.section_end if isinstance(family, TaggedFormat) else family.marks.end
    written = [family.write([call], TOOLS) for call in made]
    inner = [text.removeprefix(family.openings[0]).removesuffix(end) for text in written]
    text = family.openings[0] + "".join(inner) + end
    assert read(family, text, TOOLS).calls == made
    assert read_by(1, family, text, TOOLS).calls == made


@every_kind
@some
@given(data=st.data())
def test_no_text_is_lost_and_splits_do_not_matter(family: Family, data: st.DataObject) -> None:
    words = st.sampled_from(
        [*MARKS[family.name], *family.openings, "Write", "go", "\n", " ", '"', "{", "}", ":", ",", "x"]
    )
    text = "".join(data.draw(st.lists(words, max_size=25)))
    whole = read(family, text, TOOLS)
    cuts = data.draw(st.lists(st.integers(1, max(1, len(text))), max_size=8))
    assert read(family, text, TOOLS, cuts) == whole
    assert read_by(1, family, text, TOOLS) == whole


@every_kind
@some
@given(data=st.data())
def test_a_call_truncated_anywhere_is_whole_or_broken(family: Family, data: st.DataObject) -> None:
    made = data.draw(calls(family))
    written = family.write(made, TOOLS)
    end = data.draw(st.integers(0, len(written)))
    cut = read(family, written[:end], TOOLS)
    assert read_by(1, family, written[:end], TOOLS) == cut
    assert len(cut.calls) + len(cut.broken) <= len(made)


@every_kind
@pytest.mark.parametrize(
    "piece", ["line\n", "<", "é😀", "\\"], ids=["lines", "brackets", "wide", "backslashes"]
)
def test_a_long_string_streams(family: Family, piece: str) -> None:
    content = piece * (100_000 // len(piece))
    made: list[tuple[str, dict[str, Any]]] = [("Write", {"content": content, "count": 3})]
    # Three letters at once are cut at every place of a piece, which has one, two or five as it is written.
    assert read_by(3, family, family.write(made, TOOLS), TOOLS).calls == made


@every_kind
def test_a_long_string_of_the_familys_marks_is_read_in_time(family: Family) -> None:
    for mark in MARKS[family.name]:
        content = (mark + " ") * (30_000 // (len(mark) + 1))
        made: list[tuple[str, dict[str, Any]]] = [("Write", {"file_path": "/a", "content": content})]
        assert read_by(3, family, family.write(made, TOOLS), TOOLS).calls == made


TEXTS = ["null", "None", "true", "False", "5", "5.0", "", "\n", "\n\n", " ", "\nx\n", "[1]", '{"a": 1}', '"']


@every_family
def test_strings_stay_strings(family: Family) -> None:
    for text in TEXTS:
        made: list[tuple[str, dict[str, Any]]] = [
            ("Write", {"file_path": text, "content": text, "tags": [text]})
        ]
        assert read(family, family.write(made, TOOLS), TOOLS).calls == made


@every_kind
def test_arguments_stream_while_they_are_written(family: Family) -> None:
    written = family.write([("Write", {"content": "word " * 50})], TOOLS)
    opening = min((mark for mark in family.openings if mark in written), key=written.find)
    reader = family.reader(opening, TOOLS)
    begin = written.find(opening) + len(opening)
    half = written[begin : begin + (len(written) - begin) // 2]
    pieces = [piece for letter in half for piece in reader.feed(letter)]
    assert len(pieces) > 50
    assert json.dumps("word word word")[1:-1] in "".join(getattr(piece, "text", "") for piece in pieces)


@every_family
def test_an_unknown_tool_is_not_a_call(family: Family) -> None:
    written = family.write([("fly", {"to": "x"})], TOOLS)
    answer = read_by(1, family, written + " and more", TOOLS)
    assert not answer.calls
    assert "'fly', which was not offered" in answer.broken[0].why


@every_family
def test_a_broken_call_does_not_affect_the_next_one(family: Family) -> None:
    broken, good = family.write([("fly", {"to": "x"})], TOOLS), family.write([("go", {})], TOOLS)
    answer = read_by(1, family, f"{broken}\n{good}", TOOLS)
    assert answer.calls == [("go", {})]
    assert answer.broken
