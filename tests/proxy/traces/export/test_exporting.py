from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

import pytest

from engine.wire.feed import PhaseTimes
from proxy.events.types import CacheMiss, CacheVerdict, ErrorInfo, Timings, Usage
from proxy.traces.export.exporting import FORMATS, export
from proxy.traces.redaction.redact import Redactor
from proxy.traces.schema import CountedPart, Trace, TraceRequest, TraceResponse, WrittenPart
from tests.proxy.trace_making import AT, body_of, call_of, trace_of

SECRET = "my-own-host-token"
SHAPED = "ghp_abcdefghijklmnopqrstuvwxyz0123"
WRITTEN = "</script><b>Über & \ud800 text"
VOID = {"meta", "br"}


def rich(number: int = 1, **fields: Any) -> Trace:
    """A trace with something everywhere, secrets among it, as one of an older version may have."""
    text = f"{WRITTEN} {SECRET} {SHAPED}"
    made: dict[str, Any] = {
        "upstream_model": "/Users/ann/models/Qwen3",
        "request": TraceRequest(
            query="beta=true&x=",
            headers={"authorization": f"Bearer {SECRET}", "user-agent": "claude-cli/2", "x-note": text},
            body=body_of(text, max_tokens=5, temperature=1, system=[{"type": "text", "text": text}]),
        ),
        "upstream": {
            "messages": [{"role": "user", "content": text}],
            "tools": [{"function": {"name": "Read"}}],
        },
        "response": TraceResponse(
            status=200,
            message={
                "id": "msg_1",
                "role": "assistant",
                "stop_reason": "tool_use",
                "content": [
                    {"type": "text", "text": text},
                    {
                        "type": "tool_use",
                        "id": "toolu_1",
                        "name": "Read",
                        "input": {"name": text, "id": "Ann", "env": {"/home/ann/x": 1, "to Ann": 2}},
                    },
                ],
            },
        ),
        "timings": Timings(
            received=AT,
            queued=0.1,
            first_byte=0.5,
            first_token=0.75,
            done=2.0,
            engine=PhaseTimes(template_s=0.25),
        ),
        "prompt_parts": [CountedPart(name=f"tool {text}", tokens=3)],
        "usage": Usage(
            input_tokens=1, cache_creation_input_tokens=2, cache_read_input_tokens=4, output_tokens=8
        ),
        "cache": CacheVerdict(
            prompt_tokens=7,
            matched_tokens=4,
            miss=CacheMiss(before=text, now=text, segment=f"system, {text}"),
        ),
        "tool_calls": [
            call_of(raw=text, input={"name": "Ann", "path": text}, result=text, is_error=True, duration_s=0.5)
        ],
        "notes": [text],
        "written": [WrittenPart(kind="tool", start=0.75, end=1.9, tokens=8, call="toolu_1")],
    }
    return trace_of(number, **made | fields)


def exported(form: Any, *traces: Trace, contents: bool = True) -> str:
    pieces = export(traces, form, version="1.2", redactor=Redactor([SECRET]), contents=contents)
    text = "".join(pieces)
    text.encode()  # whatever a prompt held, it can be written
    return text


@pytest.mark.parametrize("form", FORMATS)
def test_no_secret_leaves_in_any_format(form: str) -> None:
    text = exported(form, rich())
    assert "[redacted]" in text
    assert SECRET not in text
    assert SHAPED not in text


@pytest.mark.parametrize("form", FORMATS)
def test_without_contents_no_written_text_leaves_either(form: str) -> None:
    text = exported(form, rich(), contents=False)
    assert "characters]" in text
    for written in ("ber &amp;", "ber &", "Ann", "ann", "/Users", "beta=true", "x=&"):
        assert written not in text
    for shape in ("Read", "Qwen3", "claude-x"):
        assert shape in text


@pytest.mark.parametrize("form", FORMATS)
def test_without_contents_neither_errors_nor_made_up_names_leave(form: str) -> None:
    trace = rich(
        model="/Users/ann/model",
        response=TraceResponse(status=400, error=ErrorInfo(type="Ann was here", message="Ann")),
        tool_calls=[call_of("toolu_1", "给安发邮件"), call_of("call of Ann", "ask Ann")],
        written=[WrittenPart(kind="tool", start=0.75, end=1.9, call="call of Ann")],
        session="a letter to Ann",  # clients and servers name these as they like
        agent="Ann's agent",
        agent_type="writes to Ann",
        prompt_id="Ann asked",
    )
    text = exported(form, trace, contents=False)
    for written in ("Ann", "ann", "给安", json.dumps("给安")[1:-1]):
        assert written not in text


@pytest.mark.parametrize("form", FORMATS)
def test_no_traces_are_an_empty_document(form: str) -> None:
    text = exported(form)
    if form in ("har", "otlp"):
        json.loads(text)


def test_json_lines_are_traces_again() -> None:
    lines = exported("jsonl", rich(1), trace_of(2)).splitlines()
    assert [Trace.model_validate_json(line).id for line in lines] == ["req_0001", "req_0002"]
    assert Trace.model_validate_json(lines[1]) == trace_of(2)


HAR_ENTRY = {"startedDateTime", "time", "request", "response", "cache", "timings"}
HAR_REQUEST = {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"}
HAR_RESPONSE = {
    "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize",
    "bodySize",
}  # fmt: skip


def test_har_has_what_the_format_asks_for() -> None:
    log = json.loads(exported("har", rich(1), rich(2)))["log"]
    assert (log["version"], log["creator"]) == ("1.2", {"name": "anyclaude-tui", "version": "1.2"})
    entry = log["entries"][0]
    assert len(log["entries"]) == 2
    assert {name for name in entry if not name.startswith("_")} == HAR_ENTRY
    assert set(entry["request"]) - {"postData"} == HAR_REQUEST
    assert set(entry["response"]) == HAR_RESPONSE
    assert entry["startedDateTime"] == "2026-09-21T14:13:21.000+00:00"
    assert (entry["time"], entry["timings"]) == (2000, {"send": 0, "wait": 500, "receive": 1500})
    assert entry["request"]["queryString"] == [{"name": "beta", "value": "true"}, {"name": "x", "value": ""}]
    assert json.loads(entry["request"]["postData"]["text"])["max_tokens"] == 5
    assert json.loads(entry["response"]["content"]["text"])["id"] == "msg_1"
    assert entry["response"]["statusText"] == "OK"


def test_an_error_in_har_is_what_the_client_got() -> None:
    failed = TraceResponse(status=529, error=ErrorInfo(type="overloaded_error", message="full"))
    [entry] = json.loads(exported("har", trace_of(1, response=failed)))["log"]["entries"]
    body = json.loads(entry["response"]["content"]["text"])
    assert (entry["response"]["status"], body["error"]["type"]) == (529, "overloaded_error")


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


def test_otlp_spans_have_the_conventions_names() -> None:
    document = json.loads(exported("otlp", rich(1), rich(2)))
    [resource] = document["resourceSpans"]
    assert attributes(resource["resource"]) == {"service.name": "anyclaude-tui", "service.version": "1.2"}
    [scope] = resource["scopeSpans"]
    chat, tool, other, _ = scope["spans"]
    assert (len(chat["traceId"]), len(chat["spanId"])) == (32, 16)
    assert chat["traceId"] == other["traceId"]  # one session
    assert chat["spanId"] != other["spanId"]
    assert (tool["traceId"], tool["parentSpanId"]) == (chat["traceId"], chat["spanId"])
    assert int(chat["endTimeUnixNano"]) - int(chat["startTimeUnixNano"]) == 2_000_000_000
    assert [event["name"] for event in chat["events"]] == ["queued", "first_byte", "first_token"]
    said = attributes(chat)
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.usage.input_tokens"] == "7"
    assert said["gen_ai.usage.cache_read.input_tokens"] == "4"
    assert said["gen_ai.usage.output_tokens"] == "8"
    assert said["gen_ai.response.finish_reasons"] == {"values": [{"stringValue": "tool_use"}]}
    assert said["gen_ai.request.temperature"] == 1.0
    assert (tool["name"], attributes(tool)["gen_ai.tool.call.id"]) == ("execute_tool Read", "toolu_1")
    assert (chat["status"], tool["status"]) == ({}, {"code": 2})


class Page(HTMLParser):
    """What a browser would see of a page: its elements, where they are nested well."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_loads_and_runs_nothing_whatever_a_prompt_holds() -> None:
    page = Page(exported("html", rich(1), rich(2)))
    assert page.open == []
    assert page.addresses == []
    assert page.elements.count("article") == 2
    assert not {"script", "b", "img", "iframe", "link"} & set(page.elements)


def test_the_page_shows_prompt_answer_and_calls() -> None:
    text = exported("html", rich())
    assert "template 250 ms" in text
    for words in (
        "7 in the prompt (4 restored",
        "<summary>message 1 (user)</summary>",
        "call 1: Read, valid, failed",
    ):
        assert words in text


def answered(content: list[Any], **fields: Any) -> str:
    """The page of a request with this answer, without its last part, the request as JSON."""
    response = TraceResponse(status=200, message={"role": "assistant", "content": content})
    return exported("html", trace_of(response=response, **fields)).partition("request as the client")[0]


def test_the_page_shows_an_answer_as_a_person_reads_it() -> None:
    text = answered(
        [
            {"type": "thinking", "thinking": "Let me\nsee", "signature": "s"},
            {"type": "text", "text": "\nTwo\nlines"},
            {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "ls\n\tpwd", "timeout": 5}},
        ]
    )
    assert "<pre>\n\nTwo\nlines</pre>" in text
    assert "<summary>thinking</summary><pre>\nLet me\nsee</pre>" in text
    assert "<summary>calls Bash</summary>" in text
    assert "<th>command</th><td><pre>\nls\n\tpwd</pre>" in text
    assert "<th>timeout</th><td><pre>\n5</pre>" in text


def test_the_page_of_a_refused_request_has_no_empty_answer_and_no_tokens() -> None:
    refused = TraceResponse(status=429, error=ErrorInfo(type="rate_limit_error", message="slow down"))
    text = exported("html", trace_of(response=refused, usage=Usage()))
    assert "rate limited: slow down" in text
    assert "<summary>answer</summary>" not in text
    assert "in the prompt" not in text


def test_the_page_keeps_many_tools_behind_one_heading() -> None:
    tools = [{"function": {"name": name}} for name in ("Read", "Bash")]
    text = exported("html", trace_of(upstream={"tools": tools, "messages": []}))
    assert text.index("<summary>2 tools</summary>") < text.index("<summary>tool Read</summary>")


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ("127.0.0.1:9000", "http://127.0.0.1:9000/v1/messages"),
        ("[::1]:8082", "http://[::1]:8082/v1/messages"),
        ("a b/../x", "http://localhost/v1/messages"),
        ("", "http://localhost/v1/messages"),
    ],
)
def test_a_har_names_the_host_as_its_client_found_it(header: str, url: str) -> None:
    trace = trace_of(request=TraceRequest(headers={"Host": header}, body={}))
    [entry] = json.loads(exported("har", trace))["log"]["entries"]
    assert entry["request"]["url"] == url


def test_a_har_has_each_value_of_a_query() -> None:
    trace = rich(request=TraceRequest(query="a=1&a=2&b=", body={}))
    [entry] = json.loads(exported("har", trace))["log"]["entries"]
    pairs = [(pair["name"], pair["value"]) for pair in entry["request"]["queryString"]]
    assert pairs == [("a", "1"), ("a", "2"), ("b", "")]
