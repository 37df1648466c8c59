"""Files as tools return them: which texts are lines with numbers alone, and what is read of them."""

from __future__ import annotations

import pytest

from tui.client.wire_text import block_text
from tui.screen.reading.file_lines import FileLines, lines_read, lines_shown
from tui.screen.reading.readable import Readable, result_to_read

# As Claude Code 2.1.332 sent them; 2.1.197 put an arrow behind the number.
READ = "1\timport os\n2\t\n3\tdef one() -> int:\n4\t\treturn 1\n5\t"
READ_BEFORE = "     1→import os\n     2→\n     3→def one() -> int:\n     4→\treturn 1\n     5→"
FILE = "import os\n\ndef one() -> int:\n\treturn 1\n"
CAT = "     9\timport os\n    10\t\n    11\tx = 1\n    12"
SHOWN = "import os\n\nx = 1\n"
UPDATED = f"The file was updated:\n{READ}"
PART = "[Truncated: PARTIAL view — /a/big.py: showing lines 1-2 of 3601 total]"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (READ, FileLines(FILE, 1)),
        (READ_BEFORE, FileLines(FILE, 1)),
        ("1:import os\n2:x = 1", FileLines("import os\nx = 1", 1)),
        ("95\tkey = 94\n96\t", FileLines("key = 94\n", 95)),
        ("9\tnine\n10\tten", FileLines("nine\nten", 9)),
        ("1\tonly line", FileLines("only line", 1)),
        ("1\t12\t13\n2\t3\t", FileLines("12\t13\n3\t", 1)),  # numbers of the file itself stay
        (f"1\ta\n2\tb\n\n<system-message>\n{PART}\n</system-message>", FileLines("a\nb", 1, PART)),
        (
            "1→a\n2→\n\n<system-reminder>\nBe brief.\n</system-reminder>\n",
            FileLines("a\n", 1, "Be brief."),
        ),
        (
            "99\ta\n100\tb\n10\n[… 9 more characters; whole in the trace of r1]",  # it was cut in a number
            FileLines("a\nb", 99, "[… 9 more characters; whole in the trace of r1]"),
        ),
        ("9\ta\n1", FileLines("a", 9)),
        ("1→a\n4→x", None),  # something between them was redacted
        ("1\ta\n2→b", None),
        ("1\ta\nb", None),
        ("1\ta\n3", None),
        ("1\ta\n<system-message>left open", None),
        ("import os\n1\ta", None),
        ("<tool_use_error>File does not exist.</tool_use_error>", None),
        ("", None),
    ],
)
def test_what_read_returned_is_a_file_where_each_line_has_the_next_number(
    text: str, found: FileLines | None
) -> None:
    assert lines_read(text) == found
    safe = block_text(text)  # as a screen has it, where a tab is four blanks
    assert lines_read(safe) == (found and FileLines(block_text(found.text), found.first, found.note))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (CAT, FileLines(SHOWN, 9)),
        (READ, None),  # not in six cells
        (READ_BEFORE, None),
        ("     1\tone line", None),  # which may have been written so
        ("7:x = 1\n8:x = 1", None),  # what grep -n finds may stand in lines that follow each other
        ("999999\ta\n1000000\tb", FileLines("a\nb", 999_999)),
        ("     1\ta\nb", None),
    ],
)
def test_what_cat_printed_is_a_file_where_two_lines_say_so(text: str, found: FileLines | None) -> None:
    assert lines_shown(text) == found
    assert lines_shown(block_text(text)) == (found and FileLines(block_text(found.text), found.first))


@pytest.mark.parametrize(
    ("name", "given", "text", "found"),
    [
        ("Read", {"file_path": "/a/b.py"}, READ, Readable("", FILE, "python", 1, READ)),
        ("Read", {"file_path": "/a/LICENSE", "offset": 95}, "95\ta", Readable("", "a", "", 95, "95\ta")),
        ("Read", {"file_path": "/a/b.py"}, "Error: no such file", Readable("", "Error: no such file")),
        ("Read", None, READ, Readable("", READ)),
        ("Bash", {"command": "cat -n src/a.py"}, CAT, Readable("", SHOWN, "python", 9, CAT)),
        ("Bash", {"command": "cd x && nl -ba 'a.md'| tail"}, CAT, Readable("", SHOWN, "markdown", 9, CAT)),
        ("Bash", {"command": "cat -n $FILE; ls"}, CAT, Readable("", SHOWN, "", 9, CAT)),
        ("Bash", {"command": "grep -n x a.py"}, "7:x\n8:x", Readable("", "7:x\n8:x")),
        ("Grep", {"pattern": "x"}, "/a.py:1:x\n/a.py:2:x", Readable("", "/a.py:1:x\n/a.py:2:x")),
        ("Edit", {"file_path": "/a.py"}, UPDATED, Readable("", UPDATED)),
        ("mcp__x__y", {}, '{"a": 1}', Readable("", '{"a": 1}', "json")),
    ],
)  # fmt: skip
def test_of_a_result_a_file_is_read_without_the_numbers_and_all_else_as_it_is(
    name: str, given: object, text: str, found: Readable
) -> None:
    assert result_to_read(name, given, text) == found


def test_its_lines_are_told_and_a_copy_has_a_suffix_by_which_editors_know_it() -> None:
    assert Readable("", "a\nb\n", "python").lines == "3 lines"
    assert Readable("", "a\nb", "", 1_095).lines == "lines 1,095 to 1,096"
    assert Readable("", "a", "", 7).lines == "line 7"
    names = [Readable("", "", language).file_name for language in ("python", "markdown", "bash", "", "?")]
    assert names == ["text.py", "text.md", "text.sh", "text.txt", "text.txt"]
