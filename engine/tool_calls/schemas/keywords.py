"""The keywords of JSON Schema that jsonschema would judge wrongly, or without a time limit.

The patterns come from a tool and the texts from a model: a pattern that backtracks for hours would stop the
engine. So patterns are searched with the `regex` package, which takes a timeout. Its character classes are
those of the grammars; those of `re` differ. References are counted, as thirty definitions that each refer to
the next one twice take as long. Fractions are compared as they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache
from typing import Any

import jsonschema
import regex
from jsonschema.protocols import Validator

_TIMEOUT_S = 0.1  # for one pattern on one text
_MOST_REFERENCES = 10_000  # that one verdict follows, in a second or so
_left: ContextVar[int | None] = ContextVar("_left", default=None)
# Braces without a count are literal; `regex` would take some for fuzzy matching.
_BARE_BRACE = regex.compile(r"(?<!\\)((?:\\\\)*)(?<!\\[pPN])\{(?![\d,])")


def matches_pattern(pattern: str, text: str) -> bool:
    """Whether a schema's pattern matches somewhere in a text.

    Raises:
        TimeoutError: the search takes too long.
        regex.error: the pattern is invalid.
    """
    return _compiled(pattern).search(text, timeout=_TIMEOUT_S) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    return regex.compile(_BARE_BRACE.sub(r"\1\{", pattern))


class TooManyReferences(Exception):
    """Raised when a verdict would take too long, as a schema refers to too much."""


@contextmanager
def references_counted() -> Iterator[None]:
    """Within it a validator follows a limited number of references.

    Raises:
        TooManyReferences: by the validator, beyond the limit.
    """
    before = _left.set(_MOST_REFERENCES)
    try:
        yield
    finally:
        _left.reset(before)


def _counting(others: Any) -> Any:
    """A draft's keyword that refers to another schema."""

    def reference(validator: Any, target: Any, instance: Any, schema: Any) -> Iterable[Any]:
        left = _left.get()
        if left is not None:
            if not left:
                raise TooManyReferences(f"it follows more than {_MOST_REFERENCES} references")
            _left.set(left - 1)
        return others(validator, target, instance, schema) or ()

    return reference


def _pattern(validator: Validator, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not matches_pattern(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any
) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, part in patterns.items():
            for key, value in instance.items():
                if matches_pattern(pattern, key):
                    yield from validator.descend(value, part, path=key, schema_path=pattern)


def _multiple_of(validator: Validator, divisor: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "number") and _as_written(instance) % _as_written(divisor):
        yield jsonschema.ValidationError(f"{instance!r} is not a multiple of {divisor!r}")


def _as_written(number: Any) -> Fraction:
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def _with_patterns(others: Any) -> Any:
    """A draft's `additionalProperties`, with the properties that patterns match shown as named ones."""

    def additional_properties(
        validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Iterable[Any]:
        patterns = schema.get("patternProperties")
        if patterns and isinstance(instance, dict):
            named = {
                key: True for key in instance if any(matches_pattern(pattern, key) for pattern in patterns)
            }
            schema = {**schema, "properties": {**schema.get("properties", {}), **named}}
            schema.pop("patternProperties")
        return others(validator, allowed, instance, schema) or ()

    return additional_properties


@lru_cache
def validator_class(kind: Any) -> Any:
    """A validator class of the same draft with these keywords."""
    own = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "multipleOf": _multiple_of,
        "additionalProperties": _with_patterns(kind.VALIDATORS["additionalProperties"]),
    }
    references = ("$ref", "$dynamicRef", "$recursiveRef")
    own |= {name: _counting(kind.VALIDATORS[name]) for name in references if name in kind.VALIDATORS}
    known = {name: keyword for name, keyword in own.items() if name in kind.VALIDATORS}
    return jsonschema.validators.extend(kind, known)  # type: ignore[no-untyped-call]


FORMATS = jsonschema.FormatChecker(formats=())
"""The formats that a schema itself must satisfy."""


@FORMATS.checks("regex", raises=regex.error)
def _is_pattern(text: object) -> bool:
    return not isinstance(text, str) or bool(_compiled(text))
