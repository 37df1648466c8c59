"""Secrets that a text gives away by the name before them: `password: x`, `"token": "x"`.

Names alone prove nothing: code is full of `password = get_password()`, `password: str` and
`token = tokens[0]`, and has to stay readable. So the value decides too (`secret_values`). A secret is no
call, attribute, type or keyword, no reference (`$TOKEN`, `<your key>`), no path, and no word that is itself
made of such names (`user_password`). A bare word is taken for a secret where a configuration or a log has
one, not where code has a variable. Of `token`, a common word of code, only values count that look random. In
doubt a value is taken: of what a translation says for "password" nobody can tell that it is none.

Values beside their name, below it, in manifests and in columns of tables are found by `secret_pairs`,
`secret_blocks`, `secret_manifests` and `secret_tables`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from proxy.traces.redaction.leads import places
from proxy.traces.redaction.secret_blocks import values_below, values_in_list
from proxy.traces.redaction.secret_lines import QUOTE, is_in_json, line_head
from proxy.traces.redaction.secret_manifests import values_of_manifests
from proxy.traces.redaction.secret_names import LAST_WORD, LEADS, SecretName, begin_of_name, secret_name
from proxy.traces.redaction.secret_pairs import marked_values, value_beside
from proxy.traces.redaction.secret_tables import values_of_tables
from proxy.traces.redaction.secret_values import (
    CALL,
    TYPE_NAME,
    WORD,
    is_hash,
    is_made_of_names,
    is_made_of_words,
    is_no_value,
    is_of_code,
    is_passphrase,
    is_reference,
    looks_random,
)

_SIGN = re.compile(
    rf"(?P<close>{QUOTE})?\]?(?P<gap>[ \t]*)\*{{0,2}}"
    r"(?P<sep>=>|:=|[!=]==?|[:=](?![:=>~]))\*{0,2}(?P<after>[ \t]*)"
)
_COMPARED = frozenset(("==", "===", "!=", "!=="))
_SHORTEST_COMPARED = 4  # code has a character, a sign or an empty text there
_FEWEST_OF_VARIABLE = 3  # words
_LOOKED_AT = 500  # characters of a value: texts in which each word begins another one are not read many times
_REST = re.compile(r"[^\s\"'`]*")
_QUOTED = re.compile(
    rf"(?P<prefix>[bBrRuUfF@]{{0,2}})(?P<quote>{QUOTE})"
    r"(?P<value>(?:(?!(?P=quote))(?:\\.|[^\s\\])){1,500})"
)
_QUOTED_WORDS = re.compile(
    rf"(?P<prefix>)(?P<quote>{QUOTE})(?P<value>(?:(?!(?P=quote))(?:\\.|[^\\\r\n])){{1,200}})(?P=quote)"
)
_TEXT_ENDS = re.compile(r"[ \t]*(?:[,;}#]|\\?[\r\n]|\\n|\Z)")
_ANNOTATION = re.compile(rf"[&\w.\[\]|]{{1,40}}(?: ?\| ?\w{{1,20}})?[ \t]*=[ \t]*(?={QUOTE})")
_LINE_ENDS = r"(?=[ \t]*(?:[ \t]#[^\r\n\\]{0,500})?(?:\r?\n|\\[nr]|\Z))"
_REST_OF_LINE = re.compile(rf"(?P<value>(?:[^\s\\]|\\(?![nrt])){{1,500}}+){_LINE_ENDS}")
_REST_IN_JSON = re.compile(r"(?P<value>[^\s\\\"]{1,500}+)(?=[ \t]*(?:\r?\n|\\+[nr\"]|\"|\Z))")
_WORDS_OF_LINE = re.compile(rf"(?P<value>[^\s\\\"`#|][^\r\n\\\"`#|]{{1,200}}?){_LINE_ENDS}")
_SHELL_WORD = re.compile(r"(?P<value>(?:[^\s\"'`;&|<>(),\\]|\\(?![nrt\"'])){1,500}+)")
_BARE = re.compile(r"(?P<value>[^\s\"'`<>,;(){}\[\]\\|]{1,500})")


class _Found(NamedTuple):
    """A name with a sign behind it, and where its value begins."""

    name: SecretName
    begin: int  # of the name
    close: str  # the quote behind the name
    gap: str
    sep: str
    after: str
    at: int  # of the value
    variable: bool  # of an environment


def redact_assignments(text: str, lowered: str, redacted: str) -> str:
    """The text with `redacted` in the place of each secret that follows its name.

    `lowered` is the text in lower case, of the same length.
    """
    found = {
        *_named(text, lowered),
        *marked_values(text, lowered),
        *values_of_manifests(text, lowered),
        *values_of_tables(text, lowered),
    }
    pieces: list[str] = []
    end = 0
    for begin, stop, quote in sorted(found):
        if begin >= end:
            pieces += text[end:begin], quote, redacted, quote
        end = max(end, stop)
    return "".join([*pieces, text[end:]]) if pieces else text


def _named(text: str, lowered: str) -> Iterator[tuple[int, int, str]]:
    """Begin and end of each secret behind a name, and the quotes that it needs to be one text."""
    taken: deque[tuple[int, int]] = deque()  # what lies ahead: names in it are a part of a secret
    for at in places(lowered, LEADS):
        while taken and taken[0][1] <= at:
            taken.popleft()
        word = None if taken and taken[0][0] <= at else LAST_WORD.match(lowered, at)
        if word is None:
            continue
        sign = _SIGN.match(lowered, word.end())
        for begin, end, quote in _assigned(text, word, sign) if sign else value_beside(text, lowered, word):
            if end - begin == _LOOKED_AT and not quote:
                end = _REST.match(text, end).end()  # type: ignore[union-attr]
            taken.append((begin, end))
            yield begin, end, quote


def _assigned(text: str, word: re.Match[str], sign: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    begin = begin_of_name(text, word.start())
    if text[begin - 1 : begin] == "/":
        return  # a path: /etc/passwd: No such file
    name = secret_name(text[begin : word.end()])
    close, gap, sep, after = sign.group("close", "gap", "sep", "after")
    at = sign.end()
    if sep == ":" and (below := list(values_below(text, at, begin, name))):
        yield from ((*span, "") for span in below)
        return
    if at == len(text) or text[at] in "\r\n":
        return
    if text[at] == "[":
        yield from ((*span, "") for span in values_in_list(text, at, name))
        return
    # An environment has NAME=value, and a program may have constants.
    found = _Found(name, begin, close or "", gap, sep, after, at, name.variable and sep == "=" and not gap)
    kind = word[0].lstrip("_")[:3]
    if not name.certain and (
        (kind in ("key", "pas") and not found.variable) or (kind == "pwd" and found.variable)
    ):
        return  # of PWD the value is a folder
    if kind == "aut" and gap and text[at] not in "\"'`\\":
        return  # constants of protocols
    if (value := _value(text, found)) is not None:
        bare = close and sep == ":" and "quote" not in value.re.groupindex
        yield *value.span("value"), close if bare else ""


def _value(text: str, found: _Found) -> re.Match[str] | None:
    at = found.at
    if found.sep == ":" and (annotated := _ANNOTATION.match(text, at)):
        at = annotated.end()
    quoted = _QUOTED.match(text, at)
    if quoted is not None and _is_whole(quoted, text):
        return quoted if _is_secret_text(quoted, found) else None
    if found.sep in _COMPARED:
        return None  # with what is no text
    if (found.name.of_password or found.name.certain) and (words := _QUOTED_WORDS.match(text, at)):
        ends = found.variable or _TEXT_ENDS.match(text, words.end())  # behind a variable: a command
        return words if ends and _is_secret_words(words["value"], found) else None
    if text[at] in "\"'`\\" or (found.close and found.sep != ":"):
        return None  # words in quotes, or what code puts into a field
    return _bare(text, at, found)


def _is_whole(quoted: re.Match[str], text: str) -> bool:
    """Whether the quotes hold one word, or what is left of it where the text ends or goes on for long."""
    begin, end = quoted.span("value")
    return end == len(text) or end - begin == _LOOKED_AT or text.startswith(quoted["quote"], end)


def _is_secret_text(quoted: re.Match[str], found: _Found) -> bool:
    value, name = quoted["value"], found.name
    if "f" in quoted["prefix"].lower() and "{" in value:
        return False
    if is_reference(value) or is_no_value(value):
        return False
    if found.sep in _COMPARED and len(value) < _SHORTEST_COMPARED:
        return False
    if is_made_of_names(value, digits=False) and not (found.variable and name.of_password):
        return False
    if name.certain:
        return True
    return looks_random(value, 6 if found.close or found.variable else 8) and not _names_a_thing(value, name)


def _is_secret_words(value: str, found: _Found) -> bool:
    """Whether quoted words are a secret, and not a label, a message or a description."""
    if "{" in value:
        return False
    if found.variable or "passphrase" in found.name.text.lower():
        return not is_made_of_words(value)
    return is_passphrase(value)


def _bare(text: str, at: int, found: _Found) -> re.Match[str] | None:
    if found.after and text.startswith("# ", at):
        return None  # a comment
    head = line_head(text, found.begin)
    in_json = head is not None and is_in_json(text, head)
    whole = (_REST_IN_JSON if in_json else _REST_OF_LINE).match(text, at) if head is not None else None
    if whole is not None and whole["value"][-1] in ",;{([":
        whole = None  # code: what follows the value belongs to what is around
    if (
        whole is not None
        and in_json
        and found.sep == ":"
        and not found.after
        and WORD.fullmatch(whole["value"])
    ):
        return None  # a word with a prefix, as of a right: "secrets:write"
    spaced = "=" in found.sep and bool(found.gap)
    in_code = spaced and head is not None and bool(head["indent"])
    if whole is None and head is not None and found.name.certain and not in_code:
        words = _WORDS_OF_LINE.match(text, at)
        if words is not None and _is_passphrase(words["value"], found):
            return words
    if found.variable and not found.after:
        return _of_variable(text, at, found, whole)
    if whole is not None:
        return whole if _is_secret_line(whole["value"], found, code=spaced, indented=in_code) else None
    bare = _BARE.match(text, at)
    if bare is None or text[bare.end() : bare.end() + 1] in ("(", "[", "{", "<"):
        return None
    return bare if _is_secret_inline(bare, text, found) else None


def _is_passphrase(value: str, found: _Found) -> bool:
    """Whether all that is left of a line is a secret; behind a shell's `NAME=value` a command may follow."""
    if found.variable and not (found.name.of_password and len(value.split()) >= _FEWEST_OF_VARIABLE):
        return False
    return is_passphrase(value)


def _of_variable(text: str, at: int, found: _Found, whole: re.Match[str] | None) -> re.Match[str] | None:
    """The secret value of a variable of an environment; `whole` is a line that has nothing else."""
    if whole is not None and not CALL.match(whole["value"]):
        return whole if _is_secret_variable(whole["value"], found.name) else None
    word = _SHELL_WORD.match(text, at)
    after = text[word.end() : word.end() + 1] if word is not None else ""
    if word is None or after in ("(", "<") or (after in (",", ")") and WORD.fullmatch(word["value"])):
        return None  # a call, or an argument of one
    return word if _is_secret_variable(word["value"], found.name) else None


def _is_secret_variable(value: str, name: SecretName) -> bool:
    if is_reference(value) or is_no_value(value) or (is_made_of_names(value) and value.isupper()):
        return False
    if value.isdigit() and not name.of_password:
        return False
    if name.certain or name.text.endswith("TOKEN"):
        return True
    return looks_random(value) and not _names_a_thing(value, name)


def _is_secret_line(value: str, found: _Found, *, code: bool, indented: bool) -> bool:
    """Whether the only value of a line that begins with its name is a secret."""
    name = found.name
    if is_of_code(value) or value == name.text or value.endswith("." + name.text):
        return False
    if WORD.fullmatch(value):
        return name.certain and not indented and not TYPE_NAME.fullmatch(value)
    if code and is_made_of_names(value):
        return False  # of another variable: password = secret1
    return _is_certain(value, name) or (looks_random(value, 6) and not _names_a_thing(value, name))


def _is_secret_inline(bare: re.Match[str], text: str, found: _Found) -> bool:
    name = found.name
    value, after = bare["value"].rstrip("."), text[bare.end() : bare.end() + 2]
    if not value or is_of_code(value) or value == name.text:
        return False
    if not WORD.fullmatch(value):
        if is_made_of_names(value) and (found.sep == "=" and (found.gap or _is_argument(text, found.begin))):
            return False
        return _is_certain(value, name) or (looks_random(value) and not _names_a_thing(value, name))
    if not name.certain or found.gap:
        return False
    ends = after[:1] in ("", "\n", "\r") or after == "\\n"
    if found.sep == ":":
        return ends and bool(found.after) and not TYPE_NAME.fullmatch(value)
    # Of a connection (`host=… password=… dbname=…`, `Uid=…;Pwd=…;`), not of a call (`f(a, password=…)`).
    before = text[max(0, found.begin - 2) : found.begin]
    return not found.after and (
        before[-1:] == ";" or (before[-1:] in (" ", "") and before[:1] != "," and (ends or after[0] == " "))
    )


def _is_argument(text: str, begin: int) -> bool:
    """Whether a name stands in the brackets of a call."""
    least = max(0, begin - _LOOKED_AT)
    return text.rfind("(", least, begin) > max(text.rfind(")", least, begin), text.rfind("\n", least, begin))


def _names_a_thing(value: str, name: SecretName) -> bool:
    return name.of_key and is_hash(value)


def _is_certain(value: str, name: SecretName) -> bool:
    return name.certain and (len(value) >= 4 or not value.isdigit())
