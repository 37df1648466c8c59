"""How the verdict on a call judges the keywords that jsonschema would judge wrongly, or without an end.

Patterns are a tool's own and texts a model's: a pattern that goes back and forth for hours would stop the
engine, so they are looked for with the `regex` package, which may be given a time. Its classes of letters
are those of the grammars, which `re` tells otherwise. Fractions are compared as they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import jsonschema
import regex
from jsonschema.protocols import Validator

_LONGEST = 0.1  # seconds that one pattern may take on one text
# Braces that count nothing are letters; `regex` would take some for its fuzzy matching.
_BARE_BRACE = regex.compile(r"(?<!\\)((?:\\\\)*)(?<!\\[pPN])\{(?![\d,])")


def matches_pattern(pattern: str, text: str) -> bool:
    """Whether a schema's pattern is found in a text.

    Raises:
        TimeoutError: it takes too long to tell.
        regex.error: it is no pattern.
    """
    return _compiled(pattern).search(text, timeout=_LONGEST) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    return regex.compile(_BARE_BRACE.sub(r"\1\{", pattern))


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
    """A draft's `additionalProperties` that is not shown the patterns, but what they are found in."""

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
    """A validator of the same draft with these keywords."""
    own = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "multipleOf": _multiple_of,
        "additionalProperties": _with_patterns(kind.VALIDATORS["additionalProperties"]),
    }
    known = {name: keyword for name, keyword in own.items() if name in kind.VALIDATORS}
    return jsonschema.validators.extend(kind, known)  # type: ignore[no-untyped-call]


FORMATS = jsonschema.FormatChecker(formats=())
"""What is asked of the parts of a schema itself."""


@FORMATS.checks("regex", raises=regex.error)
def _is_pattern(text: object) -> bool:
    return not isinstance(text, str) or bool(_compiled(text))
