"""Schema patterns in grammars match the same texts as in the verdict."""

from __future__ import annotations

import llguidance
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.tool_calls.schemas.keywords import matches_pattern
from engine.tool_calls.schemas.pattern_source import full_text_pattern, pattern

BYTES = llguidance.LLTokenizer("byte")


def fits(source: str, text: str) -> bool:
    """Whether llguidance accepts the whole text."""
    matcher = llguidance.LLMatcher(BYTES, llguidance.LLMatcher.grammar_from_lark(f"start: {source}\n"))
    assert not matcher.is_error(), matcher.get_error()
    written = list(text.encode())
    return matcher.try_consume_tokens(written) == len(written) and bool(matcher.is_accepting())


@pytest.mark.parametrize(
    ("source", "fitting", "others"),
    [
        (r"^https?:\/\/", ["http://x", "https://"], ["http:x", " http://"]),
        ("^/x/y$", ["/x/y"], ["x/y", r"\/x\/y"]),
        ("^[/]+$", ["/", "//"], ["", "x"]),
        (r"^[\/]$", ["/"], ["\\", ""]),
        ("^a{,3}$", ["", "aaa"], ["aaaa"]),
        ("^a{2}b{1,}c{0,1}$", ["aab", "aabbc"], ["ab", "aabcc"]),
        ("^x{y}{}$", ["x{y}{}"], ["x"]),
        (r"\\$", ["\\", "a\\"], ["\\a", ""]),
        (r"^a\$", ["a$", "a$b"], ["a", "ba$"]),
        (r"^\\\$$", [r"\$"], ["\\", "$"]),
        ("^$", [""], ["a", "$"]),
        ("", ["", "a"], []),
        ("^[a-z&&]$", ["a", "&"], ["", "&&"]),
        ("a&&b", ["a&&b", "xa&&by"], ["a", "ab"]),
        ("^[a~~b-]$", ["a", "~", "b", "-"], [""]),
        ("^[a[b]$", ["a", "[", "b"], ["]"]),
        ("^\x00$", ["\x00"], ["", "0"]),
        (r"^\x41\u00e9\n\t$", ["Aé\n\t"], ["x41", ""]),
        ("^(a|b)+(?:cd?)$", ["abc", "bcd"], ["c", "ad"]),
        ("a|b", ["xa", "b"], ["x"]),
        ("^a+?b$", ["aab"], ["b"]),
        (r"^\S\s\d\w[^\s]$", ["a 5b-", "é\x0b5_x"], ["  5b-", "a\x1c5b-", "a 5b "]),
        (r"^[^\s<>]{1,3}$", ["a.b"], ["a b", ""]),
        ("^a#b~c d-e$", ["a#b~c d-e"], ["a"]),
    ],
)
def test_a_pattern_is_expressed_as_the_verdict_reads_it(
    source: str, fitting: list[str], others: list[str]
) -> None:
    whole = full_text_pattern(source)
    assert whole is not None
    for text in [*fitting, *others]:
        assert fits(pattern(whole), text) == (text in fitting), text
        assert matches_pattern(source, text) == (text in fitting), text


@pytest.mark.parametrize(
    "source",
    [
        *("(?!x)y", "(?=x)y", "(?i)a", r"(a)\1", r"\bword", "a^b", "a$b", "^a|b$", "^a|b", r"\p{L}", r"\D"),
        *(
            "a++",
            "a**",
            "^*a",
            "*a",
            "(",
            ")(",
            "a)|(b",
            "[z-a]",
            "[a",
            "[]a]",
            r"[\w-z]",
            r"[^\w]",
            r"[^a\d]",
            "a{3,2}",
        ),
        *("a{2000}", r"[^\s\S]", "\ud83d", r"^\ud83d$", "^a\\"),
    ],
)
def test_a_pattern_that_cannot_be_translated_is_left_to_the_verdict(source: str) -> None:
    assert full_text_pattern(source) is None


def test_slashes_are_escaped_once() -> None:
    assert pattern(r"a/b\/c\\/") == r"/a\/b\/c\\\//"


ATOMS = [
    *"ab/&~-#.",
    r"\/",
    r"\\",
    r"\.",
    "[ab]",
    "[^a]",
    "[a-c/]",
    r"[&&~~]",
    r"\s",
    r"\d",
    "(a|b)",
    "(?:a/)",
]
COUNTS = ["", "", "", "*", "+", "?", "{2}", "{,2}", "{1,}", "+?"]


@given(
    parts=st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(COUNTS)), max_size=4),
    anchors=st.sampled_from([("^", "$"), ("", "$"), ("^", ""), ("", "")]),
    text=st.text(alphabet="abc/&~-#. \\5\n", max_size=6),
)
def test_grammar_and_verdict_accept_the_same_texts(
    parts: list[tuple[str, str]], anchors: tuple[str, str], text: str
) -> None:
    source = anchors[0] + "".join(atom + count for atom, count in parts) + anchors[1]
    whole = full_text_pattern(source)
    assert whole is not None
    assume(not text.endswith("\n"))  # the verdict's `$` also matches before a last line break
    assert fits(pattern(whole), text) == matches_pattern(source, text)
