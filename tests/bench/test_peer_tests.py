"""The counts over peers' tests: what a source tells is meant, and what counts as read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.peer_tests import llama_cpp
from bench.peer_tests.__main__ import table
from bench.peer_tests.cpp_source import braced, chain, literal, parts
from bench.peer_tests.judging import Output, distinct, figures, judged
from bench.template_report.own_templates import OWN_TEMPLATES
from engine.tool_calls.families.registry import family_named
from engine.tool_calls.schemas.tools import ToolSchema

CALL = '<tool_call>\n{"name": "look", "arguments": {"at": "it"}}\n</tool_call>'
SOURCE = r"""
static common_chat_tool look_tool{ /* name */ "look", "", R"({"properties": {"at": {"type": "string"}}})" };
const common_chat_msg message_call = simple_assist_msg("", "so", "look", "{\"at\": \"it\"}");
static void test_all(const std::string & path) {
    auto tst = peg_tester(path, false);  // "not a string
    tst.test("<tool_call>\n{\"name\": \"look\", "
             "\"arguments\": {\"at\": \"it\"}}\n</tool_call>")
        .tools({ look_tool }).expect(message_call).run();
    tst.test("Hello.").expect_content("Hello.").run();
    tst.test("<tool_call>").is_partial(true).run();
    tst.test("Hello.").expect(made_elsewhere).run();
    tst.test(R"(a "call")").tools({ look_tool }).expect_tool_calls({ { "look", R"({"at": 1})", {} }, }).run();
}
int main() {
    for (const auto & path : { "models/a.jinja", "models/none.jinja" }) { test_all(path, true); }
}
"""


def test_a_source_of_llama_cpp_tells_what_is_meant(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "tests" / "test-chat.cpp").write_text(SOURCE, "utf-8")
    (tmp_path / "models" / "a.jinja").write_text(OWN_TEMPLATES["no thinking"], "utf-8")
    found = list(llama_cpp.outputs("llama.cpp", tmp_path))
    assert [(one.text, one.meant, one.why) for one in found] == [
        (CALL, (("look", {"at": "it"}),), ""),
        ("Hello.", (), ""),
        ("<tool_call>", None, "a part of an output"),
        ("Hello.", None, "its message is computed"),
        ('a "call"', (("look", {"at": 1}),), ""),
    ]
    assert [tool.name for tool in found[0].tools] == ["look"]
    counted = figures(judged(one) for one in found if one.meant is not None)
    assert (counted.outputs, counted.calls, counted.right, counted.missing) == (3, 2, 1, 1)


@pytest.mark.parametrize(
    ("meant", "counts"),
    [
        ([("look", {"at": "it"})], (1, 0, 0, 0)),
        ([("look", {"at": "that"})], (0, 1, 1, 0)),
        ([("look", {"at": "it"}), ("look", {})], (1, 1, 0, 0)),
        ([], (0, 0, 0, 1)),
    ],
)
def test_a_call_is_as_meant_or_missing_or_another_or_one_more(
    meant: list[tuple[str, object]], counts: tuple[int, ...]
) -> None:
    tools = (ToolSchema("look", {"properties": {"at": {"type": "string"}}}),)
    read = judged(Output("peer", "test", CALL, family_named("hermes"), tools, tuple(meant)))
    assert (read.right, read.missing, read.other, read.more) == counts


def test_the_same_output_counts_once() -> None:
    one, other = (Output("peer", test, "Hi.", meant=()) for test in ("a", "b"))
    counted = figures(map(judged, distinct([one, other])))
    assert list(table({"peer": counted}))[2:] == ["| peer | 1 | 0 | 0 | 0 | 0 | 0 |"]


def test_expressions_of_cpp_are_read() -> None:
    assert literal(r'"a\n\x41" /* b */ R"x(c")x"') == 'a\nAc"'
    assert literal('"a" + b') is None
    assert parts('"a, b", { c, d }, /* e, */ f(g, h),') == ['"a, b"', "{ c, d }", "f(g, h)"]
    assert braced("Type{ a, { b } }") == ["a", "{ b }"]
    assert braced("a") is None
    assert list(chain('.a("(") // .b()\n .c({})', 0)) == [("a", '"("'), ("c", "{}")]
