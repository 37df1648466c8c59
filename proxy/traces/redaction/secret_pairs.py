"""Secrets beside their name: `"name": "API_KEY", "value": "…"`, a table's columns, options of commands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.traces.redaction.leads import matches
from proxy.traces.redaction.secret_lines import QUOTE, line_head
from proxy.traces.redaction.secret_names import SecretName, begin_of_name, secret_name
from proxy.traces.redaction.secret_values import (
    WORD,
    is_hash,
    is_made_of_names,
    is_no_value,
    is_of_code,
    is_of_sentence,
    is_passphrase,
    is_reference,
    looks_random,
)

_SIGN = r"[ \t]*(?:=>|[:=])[ \t]*"
_BETWEEN = r"(?:[\s,;]|\\[nrt]|\d{1,7}(?:→|\t)){0,80}+"
_FIELD = rf"(?:{QUOTE})?"
_NAME_BEFORE = re.compile(rf"(?:name|key){_FIELD}{_SIGN}{_FIELD}\Z")
_VALUE_AFTER = re.compile(
    rf"{_FIELD}{_BETWEEN}(?:{_FIELD}type{_FIELD}{_SIGN}{_FIELD}[\w-]{{1,20}}{_FIELD}{_BETWEEN})?"
    rf"{_FIELD}(?:parameter|variable)?value{_FIELD}{_SIGN}"
)
_VALUE_BEFORE = re.compile(
    rf"value{_FIELD}{_SIGN}(?P<quote>{QUOTE})(?P<value>(?:(?!(?P=quote))(?:\\.|[^\\\r\n])){{1,200}}+)"
    rf"(?P=quote){_BETWEEN}{_FIELD}(?:name|key){_FIELD}{_SIGN}{_FIELD}\Z"
)
_DEFAULT = re.compile(rf"{QUOTE}[ \t]*,[ \t]*(?P<quote>{QUOTE})(?P<value>[^\s\"'`\\]{{8,500}})(?P=quote)")
_LONGEST_BEFORE = 300
_QUOTED = re.compile(rf"(?P<quote>{QUOTE})(?P<value>(?:(?!(?P=quote))(?:\\.|[^\\\r\n])){{1,500}})")
_BARE = re.compile(r"(?P<value>[^\s\"'`<>,;(){}\[\]\\|]{1,500})")
_COLUMN = re.compile(
    r"(?:[ \t]{2,80}|\t)(?P<value>[^\s|\"'\\]{1,500}+)(?=[ \t]*(?:\r?\n|\\[nr]|\"|\Z))"
    r"|[`*]{0,2}[ \t]{1,80}\|[ \t]{1,80}[`*]{0,2}(?P<cell>[^\s|`*\"'\\]{1,500}+)"
    r"(?=[`*]{0,2}(?:[ \t]{1,80}\||[ \t]{0,80}(?:\r?\n|\Z)))"
)


def value_beside(text: str, lowered: str, word: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    """The secret that belongs to a name which no sign follows; `word` is the name's last, in lower case."""
    if text[word.end() : word.end() + 1] not in _FOLLOWS:
        return
    begin = begin_of_name(text, word.start())
    name = secret_name(text[begin : word.end()])
    found = _of_pair(text, lowered, begin, word.end(), name) or _of_table(text, begin, word.end(), name)
    if found is not None:
        yield *found, ""


_FOLLOWS = frozenset(" \t\r\n|`*\"'\\,;}")


def _of_pair(text: str, lowered: str, begin: int, end: int, name: SecretName) -> tuple[int, int] | None:
    if (
        (default := _DEFAULT.match(text, end))
        and name.certain
        and text[begin - 2 : begin - 1] == "("
        and looks_random(default["value"])
    ):
        return default.span("value")
    before = lowered[max(0, begin - 24) : begin]
    if not _NAME_BEFORE.search(before):
        return None
    if after := _VALUE_AFTER.match(lowered, end):
        value = _QUOTED.match(text, after.end()) or _BARE.match(text, after.end())
        if value is None:
            return None
        quoted = "quote" in value.re.groupindex
        of_call = text.startswith((",", ")", "(", "["), value.end()) and bool(WORD.fullmatch(value["value"]))
        if quoted or not of_call:
            return value.span("value") if _is_secret_of_pair(value["value"], name, quoted=quoted) else None
        return None
    least = max(0, begin - _LONGEST_BEFORE)
    at = lowered.rfind("value", least, begin)
    value = _VALUE_BEFORE.match(lowered, at, begin) if at >= 0 else None
    if value is None:
        return None
    start, stop = value.span("value")
    return (start, stop) if _is_secret_of_pair(text[start:stop], name, quoted=True) else None


def _is_secret_of_pair(value: str, name: SecretName, *, quoted: bool) -> bool:
    if (
        is_reference(value)
        or is_no_value(value)
        or is_made_of_names(value)
        or (not quoted and is_of_code(value))
    ):
        return False
    if " " in value and not name.variable:
        return name.certain and is_passphrase(value)
    if value.isdigit() and not name.of_password:
        return False
    return (
        name.certain
        or (name.variable and name.of_token)
        or (looks_random(value, 6) and not (name.of_key and is_hash(value)))
    )


def _of_table(text: str, begin: int, end: int, name: SecretName) -> tuple[int, int] | None:
    found = _COLUMN.match(text, end)
    if found is None:
        return None
    group = "value" if found["value"] else "cell"
    head = line_head(text, begin)
    if head is None and not (group == "cell" and text[max(0, begin - 3) : begin].rstrip(" `*").endswith("|")):
        return None
    value = found[group]
    if is_of_code(value) or is_no_value(value) or is_made_of_names(value):
        return None
    if value.isdigit() and (not name.of_password or len(value) < 4):
        return None
    of_types = bool(WORD.fullmatch(value)) and not name.variable
    proven = (name.certain and not of_types) or (name.variable and name.of_token)
    proven = proven or (looks_random(value) and not (name.of_key and is_hash(value)))
    return found.span(group) if proven else None


_NAMES = (
    r"(?:[a-z0-9]{1,30}[_.-]){0,3}(?:[a-z]{0,20}passw(?:or)?d|passphrase|[a-z]{0,20}secret|[a-z]{0,20}token"
    r"|(?:api|access|private|secret)[_-]?key)"
)
_AT_LINE = r"(?:(?<![^\n])|(?<=\\n))"
# Without a sign between name and value, or with a tag: leads, and what begins with them in lower case.
_MARKED = (
    (
        ("--",),
        re.compile(
            rf"--{_NAMES}(?P<quote>{QUOTE}),\s{{0,80}}(?P=quote)(?P<value>(?!-)[^\s\"'`\\]{{1,500}})(?P=quote)"
        ),
    ),
    (
        ("--",),
        re.compile(
            rf"--{_NAMES}[\"']?[ \t]{{0,80}}\r?\n[ \t]{{0,80}}- (?P<quote>[\"']?)"
            r"(?P<value>(?!-)[^\s\"'\\]{1,500})"
        ),
    ),
    (("--",), re.compile(rf"--{_NAMES}[ \t]+(?P<quote>[\"']?)(?P<value>(?!-)[^\s\"'`|<>;\\]{{1,2000}})")),
    (("<",), re.compile(rf"<(?P<tag>{_NAMES})>(?P<value>[^\s<>\\]{{1,2000}})</(?P=tag)>")),
    (
        ("machine ",),
        re.compile(r"\bmachine\s+\S{1,200}\s+login\s+\S{1,200}\s+password\s+(?P<value>[^\s\"\\]{1,200})"),
    ),
    (("#",), re.compile(rf"#[ \t]*define[ \t]+{_NAMES}[ \t]+\\?\"(?P<value>[^\s\"\\]{{1,2000}})\\?\"")),
    (
        ("env ", "setx ", "set -"),
        re.compile(
            rf"{_AT_LINE}(?:env|setx|set -g?x)[ \t]+{_NAMES}[ \t]+(?P<value>(?!=)[^\s\"'\\]{{1,2000}})"
        ),
    ),
    (("set ",), re.compile(rf"set[ \t]+[\w/.:@-]{{0,60}}?{_NAMES}[ \t]+(?P<random>[^\s\"'`\\]{{6,500}})")),
    (("sshpass ",), re.compile(r"\bsshpass[ \t]+-p[ \t]*(?P<quote>[\"']?)(?P<value>[^\s\"'`\\]{1,200})")),
    (
        ("password", "passphrase", "passwd"),
        re.compile(
            rf"(?:password|passphrase|passwd)[ \t]+(?:is[ \t]+)?(?P<quote>{QUOTE})"
            r"(?P<value>[^\s\"'`\\]{1,200})(?P=quote)"
        ),
    ),
    (
        ("identified by",),
        re.compile(r"identified by[ \t]+(?P<quote>\\*[\"'])(?P<value>[^\s\"'`\\]{1,200})(?P=quote)"),
    ),
    ((" is ",), re.compile(r"(?<=password) is[ \t]+(?P<random>[^\s\"'`\\]{6,200})")),
    (
        ("-u", "--user", "--proxy-user"),
        re.compile(
            r"(?<!\S)(?:-u|--user|--proxy-user)[ =]*(?P<quote>[\"']?)[^\s:\"'\\<]{0,100}:"
            r"(?P<login>[^\s\"'`:\\<>]{3,200})"
        ),
    ),
)


def marked_values(text: str, lowered: str) -> Iterator[tuple[int, int, str]]:
    """Begin and end of each secret that an option, a tag or a statement names."""
    for leads, pattern in _MARKED:
        for found in matches(pattern, lowered, leads):
            group = found.lastgroup or "value"
            begin, end = found.span(group)
            value = text[begin:end].rstrip(",.:")
            end = begin + len(value)
            if not value or is_of_code(value) or (value.isdigit() and len(value) < 4):
                continue
            if group == "random" and not looks_random(value, 6):
                continue
            if group == "login" and lowered.rfind("curl", max(0, begin - _LONGEST_COMMAND), begin) < 0:
                continue  # a user and a group
            if leads == ("--",) and not found["quote"] and _is_prose(text, value, end):
                continue
            yield begin, end, ""


_LONGEST_COMMAND = 600
_LOOKED_AHEAD = 60
_NEXT_WORDS = re.compile(r"[ \t]+[a-z][^\r\n\\]*")


def _is_prose(text: str, value: str, end: int) -> bool:
    """Whether the word behind an option is one about it: "--password stays hidden if it is set"."""
    if not WORD.fullmatch(value):
        return False
    if text.startswith((".", ",", ":", ")"), end):
        return True
    rest = _NEXT_WORDS.match(text, end, end + _LOOKED_AHEAD)
    return rest is not None and is_of_sentence(rest[0])
