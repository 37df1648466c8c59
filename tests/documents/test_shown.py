"""What a document shows of a run, beside what another run prints."""

from __future__ import annotations

import pytest

from tests.documents.shown import RequestNames, missing

ANY = "a" * 24
SHOWN = "2026-11-29 01:30:25  req_481c202b1b8b71560bb189b6  f976dc4a  main   210   66%   10   0.13s  end_turn"


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (SHOWN, f"2027-01-02 11:00:00  req_{'f' * 24}  00aa11bb  main  9,211  7%  10  1m02s  end_turn"),
        ("tokens 630 in prompts (276 restored)", "tokens 1,630 in prompts (1,276\n  restored)"),
        ("engine: ready, …, at http://127.0.0.1:39129", "engine: ready, metal (Apple M4), at http://127.0.0.1:1234"),
        ("01:00  ██▒▒  636   43%", "23:00  █▒▒▒▒▒  1,636  9%"),
        ("20261129T012508.131Z-req_2883a56f51ed8b401558af24.json", f"20270101T000000.000Z-req_{ANY}.json"),
        ("TTFT  10% 51ms  99% 0.10s", "TTFT  10% 1.2s  99% 18s"),
        ("1 trace (99.7 kB)", "1 trace (100 kB)"),
        ("engine: … template 9ms …", "engine: template 5ms   prefill 13ms"),
        ("engine: … template 9ms …", "engine: waiting to render 2ms   template 9ms   prefill 31ms"),
        ("-rw-------… week.html", "-rw------- 1 you staff 678536 Nov 29 01:30 week.html"),
    ],
)  # fmt: skip
def test_what_differs_from_run_to_run_does_not_count(shown: str, printed: str) -> None:
    assert missing([shown], ["", printed], RequestNames()) is None


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("28 checks: 28 ok", "28 checks: 27 ok, 1 failed"),
        ("2 + 2 = 4", "2 + 2 = 5"),
        ("verify cache: passed", "verify cache: 1 of 6 failed"),
        ("ok           an answer", "failed       an answer"),
        ("hit rate   66.7% of requests", "hit rate   of requests"),
        ("12, 12, 12 tools", "12, 12, 0 tools"),
        ("a … c", "a\nc"),
    ],
)
def test_all_else_has_to_be_there(shown: str, printed: str) -> None:
    assert missing([shown], [printed], RequestNames()) == shown


def test_lines_are_in_their_order_within_a_stream() -> None:
    assert missing(["one", "…", "two"], ["one\nmore\ntwo", ""], RequestNames()) is None
    assert missing(["two", "one"], ["one\ntwo", ""], RequestNames()) == "one"
    assert missing(["two", "one"], ["two", "one"], RequestNames()) is None


def test_a_request_is_the_same_wherever_the_document_names_it() -> None:
    names = RequestNames()
    here = "req_" + "b" * 24
    assert missing([SHOWN], [SHOWN.replace("req_481c202b1b8b71560bb189b6", here)], names) is None
    assert names.in_command("traces show req_481c202b") == f"traces show {here[:12]}"
    assert missing(["trace  req_481c202b1b8b71560bb189b6"], [f"trace  req_{'c' * 24}"], names) is not None
    with pytest.raises(LookupError, match="req_00001111"):
        names.in_command("traces show req_00001111")
