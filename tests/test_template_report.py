"""The table of chat templates: of our own ones nothing is refused, lost or computed again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.template_report.__main__ import is_bad, main, summary, write_table
from bench.template_report.conversations import conversations
from bench.template_report.measurement import TemplateRow, measure, missing
from bench.template_report.own_templates import OWN_TEMPLATES


@pytest.mark.parametrize("name", OWN_TEMPLATES)
def test_a_trait_of_a_template_costs_nothing(name: str) -> None:
    row = measure(name, OWN_TEMPLATES[name])
    assert (row.fault, row.refused, row.lost) == ("", (), ())
    assert row.reuse <= 1.02
    assert not is_bad(row)


def test_a_part_that_is_missing_or_misplaced_is_lost() -> None:
    talk = next(one for one in conversations() if one.name == "text and a call")
    words = [word for word, _ in (*talk.anywhere, *talk.parts)]
    names = "Look Write Ask"
    assert missing(talk, " ".join([names, *words])) == []
    assert missing(talk, " ".join([names, *words[:-1]])) == ["result"]
    assert missing(talk, " ".join([names, *words[:-2], words[-1], words[-2]])) == ["result: misplaced"]


def test_the_table_replaces_the_one_before(tmp_path: Path) -> None:
    document = tmp_path / "models.md"
    mark = "<!-- templates: written by `make models-report` -->"
    document.write_text(f"# Models\n\n{mark}\nold\n{mark}\n\nMore.\n", encoding="utf-8")
    rows = [TemplateRow("one", family="hermes", thinking="<|think|>", reuse=1.5, lost=("text",))]
    write_table(document, rows, tmp_path)
    text = document.read_text("utf-8")
    assert "old" not in text
    assert "`<\\|think\\|>`" in text
    assert "TEMPLATES=DIR" in text
    assert text.endswith("\n\nMore.\n")
    assert "1 lose something, 1 compute more" in summary(rows)
    assert is_bad(rows[0])


def test_the_command_prints_rows_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.jinja").write_text(OWN_TEMPLATES["no thinking"], encoding="utf-8")
    assert main([str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    assert main([str(tmp_path), "--only", "other"]) == 2
    assert main([str(tmp_path / "missing")]) == 2
    assert "not a folder" in capsys.readouterr().err
