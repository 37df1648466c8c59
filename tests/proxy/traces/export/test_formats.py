"""Exports as the tools of their formats see them, and no secret in them wherever it stood."""

from __future__ import annotations

import base64
import html
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import html5lib
import pytest
from google.protobuf import json_format
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from pydantic import ValidationError

from engine.wire.json_text import encode_json
from proxy.events.types import ErrorInfo, Timings
from proxy.traces.export.exporting import FORMATS, export
from proxy.traces.redaction.redact import Redactor
from proxy.traces.schema import Trace, TraceRequest, TraceResponse
from tests.proxy.trace_making import body_of, call_of, trace_of
from tests.proxy.traces.export.test_exporting import SECRET, exported, rich
from tests.proxy.traces.redaction.test_redact import FRAMES, KEYS

HAR = Draft202012Validator(json.loads(Path(__file__).with_name("har_schema.json").read_text("utf-8")))
HOSTILE = (
    "\0\x0b\x1b[31m\x7f\x9f\ufdd0\uffff\U0001fffe</pre></article><script>document.title='run'</script><!--"
)
ODD: tuple[Trace, ...] = (
    rich(),
    trace_of(2, request=TraceRequest(query="a&=&b==&%zz", body=None), response=TraceResponse(status=0)),
    trace_of(3, response=TraceResponse(status=799, error=ErrorInfo(type=HOSTILE, message=HOSTILE))),
    trace_of(4, text=HOSTILE, model=HOSTILE, session=HOSTILE, notes=[HOSTILE]),
    trace_of(5, timings=Timings(first_byte=9.0, done=1.0), tool_calls=[call_of(input=None, raw=HOSTILE)]),
    trace_of(6, request=TraceRequest(body=body_of(max_tokens=2**70, temperature="warm", system=[1, {}]))),
    trace_of(7, time=0.0, timings=Timings(), session=""),
    trace_of(8, request=TraceRequest(body={"messages": [None, "x", {"role": 1, "content": [{"type": 7}]}]})),
)


@pytest.mark.parametrize("contents", [True, False])
def test_a_har_keeps_to_the_schema_of_the_format(contents: bool) -> None:
    document = json.loads(exported("har", *ODD, contents=contents))
    assert [f"{error.json_path}: {error.message}" for error in HAR.iter_errors(document)] == []
    assert len(document["log"]["entries"]) == len(ODD)


def test_the_schema_refuses_what_is_no_har() -> None:
    document = json.loads(exported("har", rich()))
    del document["log"]["entries"][0]["timings"]["wait"]
    document["log"]["entries"][0]["ours"] = 1
    assert len(list(HAR.iter_errors(document))) == 2


def parsed(document: dict[str, Any]) -> ExportTraceServiceRequest:
    """The request as a collector reads it. Ids are in hex in OTLP's JSON, where protobuf's own has base64."""
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json_format.ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=False)


CONVENTIONS = {
    value for value in vars(gen_ai_attributes).values() if isinstance(value, str) and value[:7] == "gen_ai."
}


@pytest.mark.parametrize("contents", [True, False])
def test_otlp_is_read_by_its_own_parser_and_has_the_names_of_the_conventions(contents: bool) -> None:
    request = parsed(json.loads(exported("otlp", *ODD, contents=contents)))
    spans = request.resource_spans[0].scope_spans[0].spans
    assert len(spans) == len(ODD) + sum(len(trace.tool_calls) for trace in ODD)
    for span in spans:
        assert (len(span.trace_id), len(span.span_id)) == (16, 8)
        assert span.end_time_unix_nano >= span.start_time_unix_nano
        named = {attribute.key for attribute in span.attributes}
        assert len(named) == len(span.attributes)
        assert {name for name in named if name.startswith("gen_ai.")} <= CONVENTIONS
        others = {name for name in named if not name.startswith(("gen_ai.", "anyclaude."))}
        assert others <= {"http.response.status_code", "error.type"}
        operation = next(one.value.string_value for one in span.attributes if one.key.endswith("tion.name"))
        assert span.name.split(" ")[0] == operation
        assert operation in {one.value for one in gen_ai_attributes.GenAiOperationNameValues}


def test_messages_have_the_parts_of_the_conventions() -> None:
    content: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Hm", "signature": "s"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t1", "name": "Read", "input": {"a": 1}},
    ]
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
    picture = {"type": "image", "source": {"type": "url", "url": "u"}}
    messages = [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": content},
        {"role": "user", "content": [result, picture]},
    ]
    trace = trace_of(
        request=TraceRequest(body={"system": "Be brief", "messages": messages}),
        response=TraceResponse(status=200, message={"content": content, "stop_reason": "tool_use"}),
    )
    span = parsed(json.loads(exported("otlp", trace))).resource_spans[0].scope_spans[0].spans[0]
    said = {one.key: one.value.string_value for one in span.attributes}
    parts = [
        {"type": "reasoning", "content": "Hm"},
        {"type": "text", "content": "Hi"},
        {"type": "tool_call", "id": "t1", "name": "Read", "arguments": {"a": 1}},
    ]
    assert json.loads(said["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be brief"}]
    assert json.loads(said["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Who?"}]},
        {"role": "assistant", "parts": parts},
        {
            "role": "user",
            "parts": [{"type": "tool_call_response", "id": "t1", "response": "ok"}, picture],
        },
    ]
    answer = {"role": "assistant", "parts": parts, "finish_reason": "tool_use"}
    assert json.loads(said["gen_ai.output.messages"]) == [answer]


def test_the_page_has_no_error_of_html() -> None:
    page = html5lib.HTMLParser(strict=True).parse(exported("html", *ODD))
    names = [element.tag.rpartition("}")[2] for element in page.iter() if isinstance(element.tag, str)]
    assert names.count("article") == len(ODD)
    assert not {"script", "b"} & set(names)


@pytest.mark.slow
def test_a_browser_shows_the_page_and_runs_nothing_of_it(tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on the PATH; html5lib alone has read the page")
    (page := tmp_path / "page.html").write_text(exported("html", *ODD))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    ended = subprocess.run(
        [browser, *options, "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("<article ") == len(ODD)
    assert "<title>Traces of anyclaude-tui</title>" in ended.stdout
    assert "<script" not in ended.stdout


Path_ = tuple[Any, ...]


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Where texts stand, names of fields that a client or a model chose among them."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict):
        for name, item in value.items():
            if path and path[-1] in ("headers", "body", "upstream", "message", "input"):
                yield (*path, ("name", name))
            yield from places(item, (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(item, (*path, number))


def with_text(document: dict[str, Any], path: Path_, text: str) -> Trace | None:
    """The trace with a text at this place; None where only certain words may stand."""
    changed = json.loads(json.dumps(document))
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    if isinstance(path[-1], tuple):
        inner[text] = inner.pop(path[-1][1])
    else:
        inner[path[-1]] = text
    try:
        return Trace.model_validate(changed)
    except ValidationError:
        return None


ANSWER = TraceResponse(status=500, error=ErrorInfo(type="e", message="m"), message=rich().response.message)
FULL = rich(response=ANSWER)
DOCUMENT = json.loads(encode_json(FULL.model_dump()))
PLACES = [path for path in places(DOCUMENT) if with_text(DOCUMENT, path, "x") is not None]


@settings(max_examples=40)
@example(path=("id",), secret="sk-" + "0" * 24, frame="key: {}", contents=False)
@given(
    path=st.sampled_from(PLACES),
    secret=st.one_of(KEYS, st.just(SECRET)),
    frame=FRAMES,
    contents=st.booleans(),
)
def test_no_secret_leaves_wherever_it_stood(path: Path_, secret: str, frame: str, contents: bool) -> None:
    trace = with_text(DOCUMENT, path, frame.format(secret))
    assert trace is not None
    forms = {secret, html.escape(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}
    for form in FORMATS:
        pieces = export([trace], form, version="1", redactor=Redactor([SECRET]), contents=contents)  # type: ignore[arg-type]
        text = "".join(pieces)
        assert not any(one in text for one in forms), (form, path)
