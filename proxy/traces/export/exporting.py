"""Traces as one document of another format, made piece by piece: many need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, get_args

from engine.wire.json_text import encode_json
from proxy.traces.export.curl import curl_command, script_head
from proxy.traces.export.har import har_entry, har_log
from proxy.traces.export.otlp import all_spans, resource
from proxy.traces.export.page import PAGE_END, page_article, page_head
from proxy.traces.export.without_contents import without_contents
from proxy.traces.redaction.redact import Redactor, redacted_trace
from proxy.traces.schema import Trace

ExportFormat = Literal["jsonl", "curl", "har", "html", "otlp"]
FORMATS: tuple[str, ...] = get_args(ExportFormat)
LOCAL_HOST = "http://127.0.0.1:8082"


def export(
    traces: Iterable[Trace],
    form: ExportFormat,
    *,
    version: str,
    redactor: Redactor,
    contents: bool = True,
    url: str = LOCAL_HOST,
) -> Iterator[str]:
    """The document, in pieces.

    Args:
        version: of this program, for those formats that name their maker.
        redactor: goes over each trace once more, as it may be older than a rule or a key.
        contents: off: nothing that a person, a model or a tool wrote goes in.
        url: of the host that commands ask.
    """
    prepared = (_prepared(trace, redactor, contents) for trace in traces)
    match form:
        case "jsonl":
            return (_json(trace.model_dump()) + "\n" for trace in prepared)
        case "curl":
            return _script(prepared, url)
        case "har":
            return _har(prepared, version)
        case "html":
            return _page(prepared)
        case "otlp":
            return _otlp(prepared, version)


def _prepared(trace: Trace, redactor: Redactor, contents: bool) -> Trace:
    redacted = redacted_trace(trace, redactor)
    return redacted if contents else without_contents(redacted)


def _script(traces: Iterable[Trace], url: str) -> Iterator[str]:
    yield script_head(url)
    yield from map(curl_command, traces)


def _har(traces: Iterable[Trace], version: str) -> Iterator[str]:
    head = _json({"log": har_log(version)})
    yield from _listed(head, "[]}}", map(har_entry, traces))


def _otlp(traces: Iterable[Trace], version: str) -> Iterator[str]:
    scope = {"scope": {"name": "anyclaude-tui", "version": version}, "spans": []}
    head = _json({"resourceSpans": [{"resource": resource(version), "scopeSpans": [scope]}]})
    yield from _listed(head, "[]}]}]}", all_spans(traces))


def _listed(document: str, end: str, rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A document whose last part is an empty list, with the rows in this list."""
    yield document.removesuffix(end) + "["
    for number, row in enumerate(rows):
        yield ("," if number else "") + "\n" + _json(row)
    yield "\n" + end.removeprefix("[") + "\n"


def _page(traces: Iterable[Trace]) -> Iterator[str]:
    yield page_head("Traces of anyclaude-tui")
    yield from map(page_article, traces)
    yield PAGE_END


_json: Callable[[Any], str] = lambda value: encode_json(value).decode()  # noqa: E731
