from __future__ import annotations

import base64
from typing import Any

import pytest

from proxy.anthropic import documents, pdf_pages
from proxy.anthropic.documents import MOST_BYTES, Documents
from proxy.anthropic.pdf_pages import MOST_PAGES, pages_of
from tests.proxy.live import body
from tests.proxy.pdfs import pdf, pdf_in_base64


async def in_process(self: Documents, data: bytes) -> list[dict[str, Any]]:
    return list(pages_of(data))


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Documents:
    """Reads in this process, which is what the other one does."""
    monkeypatch.setattr(Documents, "_lines", in_process)
    return Documents()


CASES: list[tuple[bytes, list[str]]] = [
    (pdf("One", "", "Three"), ["a PDF of 3 pages;", "Page 1:\nOne", "Page 2:\n[no text]", "Page 3:\nThree"]),
    (pdf("", ""), ["was not read: its 2 pages hold no text, as scans do", "pdftoppm", "tesseract"]),
    (pdf("One", password="secret"), ["was not read: it is encrypted", "pdftotext -upw"]),
    (pdf("One")[:100], ["was not read: damaged (", "Do not guess"]),
    (b"", ["was not read: damaged ("]),
    (b"%PDF-1.7 and nothing else", ["was not read: damaged ("]),
    (
        pdf(*["x"] * (MOST_PAGES + 2)),
        [
            f"Page {MOST_PAGES}:\nx",
            f"Pages {MOST_PAGES + 1} to {MOST_PAGES + 2} were not read",
            "pdftotext -f",
        ],
    ),
]


NAMES = ["text", "scan", "encrypted", "truncated", "empty", "no objects", "too many pages"]


@pytest.mark.parametrize(("data", "said"), CASES, ids=NAMES)
async def test_a_pdf_is_its_text_or_why_there_is_none(
    reader: Documents, data: bytes, said: list[str]
) -> None:
    text = await reader.text(base64.b64encode(data).decode())
    for words in said:
        assert words in text


@pytest.mark.parametrize(
    ("encoded", "why"),
    [("AAA", "not base64"), ("A" * (MOST_BYTES * 4 // 3 + 8), "more than 32 MB"), ("\ud800", "not base64")],
    ids=["no base64", "too large", "surrogate"],
)
async def test_what_is_no_file_is_not_given_to_the_reader(encoded: str, why: str) -> None:
    assert why in await Documents().text(encoded)


async def test_the_text_of_a_file_is_limited(reader: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_pages, "MOST_CHARACTERS", 10)
    text = await reader.text(pdf_in_base64("1234567", "1234567"))
    assert "Page 1:\n1234567\n\n[Pages 2 to 2 were not read: only" in text


async def test_a_reader_that_takes_too_long_is_ended_and_what_it_read_is_kept() -> None:
    text = await Documents(most_seconds=0).text(pdf_in_base64("One"))
    assert "was not read: not done within 0 s" in text


def test_pages_before_a_fault_are_kept() -> None:
    text = documents._as_text([{"pages": 3}, {"text": "One"}, {"fault": "not done within 30 s"}])
    assert "Page 1:\nOne" in text
    assert "Pages 2 to 3 were not read: not done within 30 s" in text


async def test_each_pdf_is_read_once_wherever_it_stands() -> None:
    reader = Documents()
    source = {"type": "base64", "media_type": "application/pdf", "data": pdf_in_base64("Rain")}
    document = {"type": "document", "source": source, "title": "T"}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}, document]}
    asked = body(messages=[{"role": "user", "content": [result, document]}, {"role": "user", "content": "b"}])
    read = await reader.read(asked)
    first, second = read["messages"][0]["content"]
    assert first["content"][1] == second
    assert second["title"] == "T"
    assert second["source"]["data"].endswith("Page 1:\nRain")
    assert read["messages"][1] is asked["messages"][1]
    assert asked["messages"][0]["content"][1]["source"]["type"] == "base64"
    assert (await reader.read(asked)) == read
    assert len(reader._texts) == 1


async def test_a_body_without_a_pdf_stays_the_same_object() -> None:
    asked = body(messages=[{"role": "user", "content": [{"type": "document", "source": {"type": "url"}}]}])
    assert await Documents().read(asked) is asked
