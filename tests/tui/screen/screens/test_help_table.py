"""How a help text is written down."""

from __future__ import annotations

from tui.screen.screens.help_table import groups

TEXT = """
What a pane is for,
on two lines.

# Columns
OUT | bold | tokens, and
  what goes on
TTFT | time to first token
A paragraph of its own,
on two lines.

# Empty
"""


def test_a_text_becomes_groups_of_paragraphs_and_entries() -> None:
    assert groups(TEXT) == (
        ("", (("", "", "What a pane is for, on two lines."),)),
        (
            "Columns",
            (
                ("OUT", "bold", "tokens, and what goes on"),
                ("TTFT", "", "time to first token"),
                ("", "", "A paragraph of its own, on two lines."),
            ),
        ),
        ("Empty", ()),
    )
    assert groups("") == ()
