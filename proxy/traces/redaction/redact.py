"""Takes secrets out of what is about to be written down, and leaves all else as it was.

Known by where they stand (credential headers, fields and assignments named like a password:
`secret_assignments`), by their value (the host's own token and keys) and by their shape (`secret_shapes`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from engine.wire.json_text import plain_text
from proxy.events.tool_call import ToolCall
from proxy.events.types import ErrorInfo
from proxy.traces.redaction.secret_names import is_secret_name
from proxy.traces.redaction.secret_shapes import REDACTED, redact_shapes
from proxy.traces.redaction.secret_values import (
    is_made_of_names,
    is_no_value,
    is_passphrase,
    is_reference,
    looks_random,
)
from proxy.traces.schema import Trace, plain_id

_SECRET_HEADER = re.compile(
    r"authori[sz]ation|(?:api|access|subscription|virtual)[-_]?key|cookie|token|secret|password|credential",
    re.IGNORECASE,
)
_COUNT_HEADER = re.compile(r"ratelimit|max-tokens", re.IGNORECASE)  # tokens of text, not of access
_CREDENTIAL_FIELD = re.compile(r"(?:proxy)?authorization|(?:set)?cookie", re.IGNORECASE)  # without - and _
# What people write where a server wants some key and checks none.
_PLACEHOLDERS = frozenset(
    {"dummy", "empty", "lm-studio", "lmstudio", "local", "none", "not-needed", "ollama", "vllm-mlx"}
)
_SHORTEST_SECRET = 4  # of a configured value: a shorter one would blacken half of every text
_BOUNDED_BELOW = 8  # shorter values are only taken for the secret where they stand alone
_SHORTEST_SHAPE = 6
_SHORTEST_NUMBER = 4  # of digits that may be a password
_SHORTEST_TOKEN = 6
_DEEPEST = 200
_CREDENTIAL_LENGTH = 16  # a client's shorter credential is a word such as "local" that texts contain
_PAIRS = tuple(
    (name, value)
    for value in ("value", "Value", "ParameterValue")
    for name in ("name", "key", "Name", "Key", "ParameterKey")
)
_BEGINS_JSON = frozenset('{["')
_EVICTED = ("evicted_cause", "evicted_session", "evicted_lane", "evicted_request")
_MISS_TEXTS = ("segment", "before", "now", *_EVICTED)


class Redactor:
    """Redacts texts, headers and JSON values; keeps no state, so any thread may use it.

    Args:
        secrets: values that must not be written down wherever they occur, such as the host's token. Values
            shorter than four characters and well-known placeholders are no secrets.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = {secret for secret in secrets if _is_secret(secret)}
        forms = {form for value in values for form in (value, json.dumps(value)[1:-1], quote(value, safe=""))}
        self.secrets = frozenset(values)
        # The longest first, so that a secret that contains another one goes as a whole.
        patterns = [_literal(form) for form in sorted(forms, key=len, reverse=True)]
        self._literals = re.compile("|".join(patterns)) if patterns else None

    def knowing(self, more: Iterable[str]) -> Redactor:
        """A redactor that knows these secrets too; this one if they are none or known already."""
        found = frozenset(filter(_is_secret, more)) - self.secrets
        return Redactor(self.secrets | found) if found else self

    def text(self, text: str) -> str:
        """The text with `[redacted]` in the place of each secret."""
        redacted = text if self._literals is None else self._literals.sub(REDACTED, text)
        if len(redacted) >= _SHORTEST_SHAPE:
            redacted = redact_shapes(redacted)
        if redacted != text and text.lstrip()[:1] in _BEGINS_JSON and _parsed(redacted) is None:
            # Where the end of a text in quotes looked like the beginning of a secret.
            return self._json(text, redacted)
        return redacted

    def _json(self, text: str, redacted: str) -> str:
        """A JSON text, redacted value by value; `redacted` where it was none before either."""
        if (parsed := _parsed(text)) is None:
            return redacted
        written = json.dumps(self.value(parsed.of), ensure_ascii=False)
        return written if written == text else self.text(written)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers with the values of those that carry credentials replaced."""
        return {
            self.text(name): REDACTED if value and is_secret_header(name) else self.text(value)
            for name, value in headers.items()
        }

    def value(self, value: Any, depth: int = 0) -> Any:
        """A JSON value with all texts in it redacted; nothing of it is changed in place.

        What lies deeper than 200 levels becomes text. A tuple, which models have in their fields, is a list.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict | list | tuple) and depth >= _DEEPEST:
            return self.text(plain_text(value))
        if isinstance(value, dict):
            of_pair = _value_of_pair(value)
            return {
                self._key(key): REDACTED if key == of_pair else self._field(key, item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [
                REDACTED if _is_argument(before, item) else self.value(item, depth + 1)
                for before, item in zip([None, *value], value, strict=False)
            ]
        return value

    def _key(self, key: Any) -> Any:
        return self.text(key) if isinstance(key, str) else key

    def _field(self, key: Any, value: Any, depth: int) -> Any:
        if is_secret_value(key, value):
            return REDACTED
        if isinstance(value, list | tuple) and isinstance(key, str) and is_secret_name(key):
            return [REDACTED if is_secret_item(item) else self.value(item, depth + 1) for item in value]
        return self.value(value, depth)


def credentials_in(headers: Mapping[str, str]) -> list[str]:
    """What a client authenticates itself with: answers and errors may repeat it."""
    values = (value.rpartition(" ")[2] for name, value in headers.items() if is_secret_header(name))
    return [value for value in values if len(value) >= _CREDENTIAL_LENGTH]


def redacted_trace(trace: Trace, redactor: Redactor) -> Trace:
    """A copy of the trace without secrets in anything that came from outside; the trace stays as it was."""
    sent, got, cache = trace.request, trace.response, trace.cache
    request = {
        "method": redactor.text(sent.method),
        "path": redactor.text(sent.path),
        "query": redactor.text("?" + sent.query)[1:],
        "headers": redactor.headers(sent.headers),
        "body": redactor.value(sent.body),
    }
    told = got.error.model_dump() if got.error else {}
    error = got.error and ErrorInfo(**{name: redactor.text(text) for name, text in told.items()})
    miss = cache and cache.miss
    if cache and miss:
        texts = {name: redactor.text(getattr(miss, name)) for name in _MISS_TEXTS}
        cache = cache.model_copy(update={"miss": miss.model_copy(update=texts)})
    update = {
        "request": sent.model_copy(update=request),
        "upstream": redactor.value(trace.upstream),
        "response": got.model_copy(update={"message": redactor.value(got.message), "error": error}),
        "cache": cache,
        "prompt_parts": [
            part.model_copy(update={"name": redactor.text(part.name)}) for part in trace.prompt_parts
        ],
        "tool_calls": [_redacted_call(call, redactor) for call in trace.tool_calls],
        "notes": [redactor.text(note) for note in trace.notes],
        "written": [part.model_copy(update={"call": redactor.text(part.call)}) for part in trace.written],
    }
    if (named := redactor.text(trace.id)) != trace.id:  # of a foreign file: ours are made of hex digits
        update["id"] = plain_id(named)
    names = ("backend", "session", "agent", "agent_type", "prompt_id", "retry_of", "model", "upstream_model")
    for name in names:
        update[name] = redactor.text(getattr(trace, name))
    return trace.model_copy(update=update)


def _redacted_call(call: ToolCall, redactor: Redactor) -> ToolCall:
    raw = redactor.text(call.raw)
    return call.model_copy(
        update={
            "id": redactor.text(call.id),
            "family": redactor.text(call.family),
            "name": redactor.text(call.name),
            "raw": raw,
            "tokens": call.tokens if raw == call.raw else [],  # they would spell the secret
            "relaxed": redactor.text(call.relaxed),
            "input": redactor.value(call.input),
            "repairs": [redactor.text(repair) for repair in call.repairs],
            "detail": redactor.text(call.detail),
            "result": redactor.value(call.result),
        }
    )


def is_secret_header(name: str) -> bool:
    """Whether a header of this name carries credentials."""
    return bool(_SECRET_HEADER.search(name)) and not _COUNT_HEADER.search(name)


def is_secret_value(name: Any, value: Any) -> bool:
    """Whether the value of a JSON field of this name is a secret."""
    if not isinstance(name, str) or not isinstance(value, str | int | float) or isinstance(value, bool):
        return False
    written = str(value)
    if is_secret_name(name):
        return len(written) >= _SHORTEST_NUMBER if not isinstance(value, str) else bool(value)
    if not isinstance(value, str):
        return False
    if _CREDENTIAL_FIELD.fullmatch(name.replace("-", "").replace("_", "")):
        return bool(value)
    return name.lower().endswith("token") and looks_random(value, _SHORTEST_TOKEN)


def is_secret_item(value: Any) -> bool:
    """Whether an item of a list is a secret that is named like one; messages about it and names are none."""
    if not isinstance(value, str):
        return False
    if " " in value:
        return is_passphrase(value)
    return bool(value) and not (is_reference(value) or is_no_value(value) or is_made_of_names(value))


def _is_argument(before: Any, item: Any) -> bool:
    """Whether an item of a list is what an option such as `--api-key` before it takes."""
    if not isinstance(before, str) or not isinstance(item, str) or not before.startswith("--"):
        return False
    return bool(item) and not item.startswith("-") and is_secret_name(before) and not is_reference(item)


def _value_of_pair(fields: dict[Any, Any]) -> str | None:
    """Which field has the secret of a pair such as `{"name": "API_KEY", "value": "…"}`, if it is one."""
    for named, valued in _PAIRS:
        name, value = fields.get(named), fields.get(valued)
        if isinstance(name, str) and isinstance(value, str) and value:
            secret = is_secret_name(name) or name.endswith("_TOKEN")
            return valued if secret and not is_reference(value) else None
    return None


@dataclass(frozen=True, slots=True)
class _Parsed:
    of: Any


def _parsed(text: str) -> _Parsed | None:
    """What a JSON text says, or None if it is no JSON text."""
    try:
        return _Parsed(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _is_secret(value: str) -> bool:
    return len(value) >= _SHORTEST_SECRET and value.lower() not in _PLACEHOLDERS


def _literal(form: str) -> str:
    escaped = re.escape(form)
    return escaped if len(form) >= _BOUNDED_BELOW else rf"(?<!\w){escaped}(?!\w)"
