"""How far a prompt was read, in every place that says so: also of one that ended before its answer."""

from __future__ import annotations

from typing import Any

import pytest

from engine.wire.feed import PhaseTimes
from proxy.events.types import CacheVerdict, ErrorInfo, RequestPrefill, Timings, Usage
from proxy.traces.schema import Trace, TraceResponse
from proxy.traces.summary import summarize
from tests.proxy.trace_making import trace_of
from tui.client.records import RequestSnapshot
from tui.screen.panes.answer_view import answer_facts
from tui.screen.panes.request_cells import restored_bar
from tui.screen.styled_line import plain_text
from tui.screen.trace_detail.headline import answered_by
from tui.screen.trace_detail.why_part import identity, tokens
from tui.screen.trace_list.detail import phases, prompt_parts

LOOKUP = CacheVerdict(prompt_tokens=1000, matched_tokens=200, kept_tokens=800)
COUNTED = Usage(cache_read_input_tokens=200, cache_creation_input_tokens=800)
UNTOLD = Usage(input_tokens=1000)
HALF = RequestPrefill(done=600, total=1000, cached=200)


@pytest.mark.parametrize(
    ("known", "bar", "words"),
    [
        (
            {"phase": "prefill", "prefill": HALF},
            "██▒▒▒▒░░░░",
            "= 200 restored █ + 400 prefilled ▒ + 400 to come ░",
        ),
        (
            {"phase": "cancelled", "prefill": HALF, "usage": COUNTED},
            "██▒▒▒▒░░░░",
            "= 200 restored █ + 400 prefilled ▒ + 400 not reached ░",
        ),
        (
            {"phase": "cancelled", "prefill": HALF, "usage": COUNTED, "ttft_s": 1.0},
            "██▒▒▒▒▒▒▒▒",
            "= 200 restored █ + 800 prefilled ▒",
        ),
        (  # of before a restart of the host
            {"phase": "cancelled", "usage": COUNTED, "cache": LOOKUP},
            "██░░░░░░░░",
            "= 200 restored █ + not known how far it was read",
        ),
        (
            {"phase": "done", "usage": COUNTED, "ttft_s": 1.0},
            "██▒▒▒▒▒▒▒▒",
            "= 200 restored █ + 800 prefilled ▒",
        ),
        ({"phase": "done", "usage": UNTOLD, "backend": "openai"}, "·", ""),
        (
            {"phase": "done", "usage": UNTOLD, "backend": "mlx"},
            "▒▒▒▒▒▒▒▒▒▒",
            "= 0 restored █ + 1.0k prefilled ▒",
        ),
    ],
)
def test_a_request_says_what_of_its_prompt_was_read(known: dict[str, Any], bar: str, words: str) -> None:
    ended = None if known["phase"] == "prefill" else 3.0
    record = RequestSnapshot("r", 1.0, 3.0, ended=ended, **known)
    assert plain_text(restored_bar(record, 10)) == bar
    facts = plain_text(answer_facts(record, 3.0)[1])
    assert facts.split("prompt ")[1].split("  ")[0].strip() == words or not words
    assert ("restored" in facts) is bool(words)


def test_a_number_that_has_no_room_is_left_out_and_not_cut_off() -> None:
    record = RequestSnapshot(
        "r", 1.0, 3.0, phase="decode", usage=UNTOLD, backend="mlx", output_tokens=240, ttft_s=1.6
    )
    whole = plain_text(answer_facts(record, 7.6)[1])
    for cells in range(60, 120):
        said = plain_text(answer_facts(record, 7.6, cells)[1])
        assert len(said) <= cells
        assert said in (whole, whole.removesuffix("  TTFT 1.6s"), whole.removesuffix("  240 out  TTFT 1.6s"))
    assert whole.endswith("240 out  TTFT 1.6s")


def ended_early(**fields: Any) -> Trace:
    error = ErrorInfo(type="cancelled", message="m", cause="cancelled by you")
    response = TraceResponse(status=499, error=error, cancelled=True)
    cache = LOOKUP.model_copy(update={"reached_tokens": 600, "kept_tokens": 400})
    timings = Timings(queued=0.5, prefill_start=1.0, done=5.0)
    known = {"response": response, "cache": cache, "usage": COUNTED, "timings": timings}
    return trace_of(1, backend="mlx", **known | fields)


def test_a_trace_says_how_far_its_prompt_was_read() -> None:
    trace = ended_early()
    row = summarize(trace, "p", 1)
    words = "██▒▒▒▒▒░░░░░ 1.0k prompt = 200 restored █ + 400 prefilled ▒ + 400 not reached ░"
    assert plain_text(prompt_parts(row, trace)) == words
    assert "▒ prefilled 400   ░ not reached 400" in "\n".join(map(plain_text, tokens(trace, 100)))
    whole = trace_of(1, backend="mlx", cache=LOOKUP, usage=COUNTED)
    assert plain_text(prompt_parts(summarize(whole, "p", 1), whole)).endswith(
        "200 restored █ + 800 prefilled ▒"
    )


def test_nothing_is_said_of_a_cache_that_another_server_does_not_report() -> None:
    trace = trace_of(1, backend="openai", usage=UNTOLD)
    assert plain_text(prompt_parts(summarize(trace, "p", 1), trace)) == "1.0k prompt"
    [prompt, *_] = map(plain_text, tokens(trace, 100))
    assert prompt.split() == ["prompt", "1,000"]


def test_a_request_without_an_answer_has_decoded_nothing() -> None:
    trace = ended_early()
    row = summarize(trace, "p", 1)
    assert plain_text(phases(row, None)).split()[0] == "took"
    assert "decode" not in plain_text(phases(row, trace))
    assert plain_text(phases(row, trace)).split()[::3] == ["waiting", "prefill"]
    written = trace_of(
        timings=Timings(queued=0.1, prefill_start=0.2, first_token=1.0, last_token=2.0, done=2.0)
    )
    told = plain_text(phases(summarize(written, "p", 1), written))
    assert "decode ▓" in told, "the shape that it has in Why, and restored tokens have not"
    refused = ended_early(timings=Timings(done=0.5), cache=None, usage=Usage())
    assert "decode" not in plain_text(phases(summarize(refused, "p", 1), refused))


@pytest.mark.parametrize(
    ("backend", "first", "expected"),
    [
        ("mlx", 1.0, "prefill decode"),
        ("openai", 1.0, "upstream decode"),
        ("claude", None, "upstream"),
        ("mlx", None, "upstream"),  # it never began with the prompt
    ],
)
def test_what_another_server_does_before_its_first_token_is_not_called_a_prefill(
    backend: str, first: float | None, expected: str
) -> None:
    timings = Timings(first_token=first, last_token=first and 3.0, done=3.0)
    engine = {"engine": PhaseTimes(prefill_s=1.0)} if expected.startswith("prefill") else {}
    failed = TraceResponse(status=529, error=ErrorInfo(type="api_error", message="m", cause="no upstream"))
    response = {} if first else {"response": failed}
    trace = trace_of(1, backend=backend, timings=timings.model_copy(update=engine), **response)
    row = summarize(trace, "p", 1)
    names = ("waiting", "prefill", "upstream", "decode", "took")
    assert [word for word in plain_text(phases(row, trace)).split() if word in names] == expected.split()
    assert ("prefill" in plain_text(phases(row, None))) is (backend == "mlx" and first is not None)


@pytest.mark.parametrize(
    ("asked", "sent", "answered", "words"),
    [
        ("demo", "/models/lab/Other-4bit/", "Other-4bit", "Other-4bit   asked for as demo"),
        ("demo", "qwen/coder", "qwen/coder", "qwen/coder   asked for as demo"),
        ("demo", "demo", "demo", "demo"),
        ("demo", "", "demo", "demo"),
    ],
)
def test_a_trace_names_the_model_that_answered(asked: str, sent: str, answered: str, words: str) -> None:
    trace = trace_of(1, model=asked, upstream_model=sent)
    assert answered_by(trace) == answered
    assert words in [plain_text(line).removeprefix("model").strip() for line in identity(trace, 100)]


def test_a_prompt_that_nobody_counted_has_no_number() -> None:
    trace = trace_of(1, backend="openai", usage=Usage(output_tokens=20), usage_estimated=True)
    prompt, answer = (plain_text(line).split() for line in tokens(trace, 100))
    assert prompt == ["prompt", "not", "counted"]
    assert answer[:2] == ["answer", "20"]
