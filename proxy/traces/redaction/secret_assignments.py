"""Secrets that a text gives away by the name before them: `password: x`, `"token": "x"`.

Names alone prove nothing: code is full of `password = get_password()`, `password: str` and
`token = tokens[0]`, and has to stay readable. So the value decides too. A secret is no call, attribute, type
or keyword, no reference (`$TOKEN`, `<your key>`), no path, and no word that is itself made of such names
(`user_password`). A bare word is taken for a secret where a configuration or a log has one, not where code
has a variable. Of `token`, a common word of code, only values count that look random.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

_WORDS = ("passw", "passphrase", "pwd", "secret", "token", "key", "_pass")
_QUOTE = r"\\*[\"'`]"

# On the text in lower case, where a search for these needs no second look at each letter.
_ASSIGNED = re.compile(
    r"(?:passw(?:or)?d|passphrase|pwd|secret|token|key|(?<=_)pass)(?:[_-]?confirm(?:ation)?)?\d{0,3}"
    rf"(?P<close>{_QUOTE})?\]?(?P<gap>[ \t]*)\*{{0,2}}(?P<sep>=>|:=|[:=](?![:=>~]))\*{{0,2}}(?P<after>[ \t]*)"
)
_OF_NAMES = string.ascii_letters + string.digits + "_.-"
_LONGEST_NAME = 60
_REMEMBERED = 4096  # names and values: the same ones come again and again

_CERTAIN = re.compile(  # without _ - and .
    r"(?:.*(?:passw(?:or)?d|passphrase|secret"
    r"|(?:access|account|api|encryption|master|private|secret|secretaccess|signing|subscription)key"
    r"|(?:access|admin|api|app|auth|bearer|bot|client|deploy|github|gitlab|hf|npm|oauth|refresh|security|session"
    r"|slack|user)token"
    r"|(?:admin|database|db|ftp|mail|mysql|pg|postgres|redis|root|smtp|ssh|user)(?:pass|pwd))|idtoken)"
    r"(?:confirm(?:ation)?)?\d*"
)
_PASSWORD = re.compile(r"passw|passphrase")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")  # of an environment

_LOOKED_AT = 500  # characters of a value: texts in which each word begins another one are not read many times
_REST = re.compile(r"[^\s\"'`]*")
_QUOTED = re.compile(
    rf"(?P<prefix>[bBrRuUfF]{{0,2}})(?P<quote>{_QUOTE})"
    r"(?P<value>(?:(?!(?P=quote))(?:\\.|[^\s\\])){1,500})"
)
_QUOTED_WORDS = re.compile(
    rf"(?P<prefix>)(?P<quote>{_QUOTE})"
    r"(?P<value>(?:(?!(?P=quote))(?:\\.|[^\\\r\n])){1,200})(?P=quote)(?=[ \t]*(?:[,;}#]|\\?[\r\n]|\\n|\Z))"
)
_ANNOTATION = re.compile(rf"[&\w.\[\]|]{{1,40}}(?: ?\| ?\w{{1,20}})?[ \t]*=[ \t]*(?={_QUOTE})")
_REST_OF_LINE = re.compile(
    r"(?P<value>(?:[^\s\\]|\\(?![nrt])){1,500}+)(?=[ \t]*(?:#[^\r\n]*)?(?:\r?\n|\\[nr]|\Z))"
)
_SHELL_WORD = re.compile(r"(?P<value>(?:[^\s\"'`;&|<>(),\\]|\\(?![nrt\"'])){1,500}+)")
_BARE = re.compile(r"(?P<value>[^\s\"'`<>,;(){}\[\]\\|]{1,500})")
_LINE_HEAD = re.compile(  # a line's number, or a file's name and one, as tools print them
    r"(?:[^\s:]{1,200}[:-]\d{1,7}[:-]|[ \t]*\d{1,7}(?:→|\t|[:-]))?(?P<indent>[ \t]*)"
    rf"(?:- |export[ \t]+)?(?:{_QUOTE})?"
)
_LONGEST_HEAD = 240

_WORD = re.compile(r"[A-Za-z_]+")
_DIGIT, _LETTER, _UNLIKE_A_KEY = re.compile(r"[0-9]"), re.compile(r"[A-Za-z]"), re.compile(r"[ \[\]]")
_CODE = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|->|\?\.)[A-Za-z_$][\w$]*)*(?:\.|::|->|\?\.|!)?[(\[{<]")
_ATTRIBUTE = re.compile(r"[A-Za-z_$]+\d{0,2}(?:(?:\.|::|->|\?\.)[A-Za-z_$]+\d{0,2})+!?")
_REFERENCE = re.compile(
    r"\$\w+|\$\(.*|[$%#]?\{.*\}|%\w+%|%(?:\(\w+\))?[sdr]"  # a variable, a template
    r"|<.*|\[.*"  # a gap to be filled, what was taken out
    r"|[&*]'?[A-Za-z_].*|!\w+|\?.*|[|>][+-]?"  # of Rust, of YAML, of a shell
    r"|(?:https?|file)://.*|\.{0,2}/[\w.@-]+(?:/[\w.@-]*)*|~/.*"  # a place
    r"|[*•.…_:-]+|x{3,}|.{0,16}(?:\.{3}|…|[*•x]{3,})",  # stars, and sk-…
    re.IGNORECASE | re.DOTALL,
)
_HOLDS_A_GAP = re.compile(r"[$#{]\{|\[redacted\]", re.IGNORECASE)  # a template's, or of what was taken out
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_TYPE_NAME = re.compile(r"(?:[A-Z][a-z]{2,}){2,}")
_NO_VALUE = re.compile(  # a type, a keyword, a variable's usual name, what documents say of an option
    r"and|any|are|arg|args|argument|array|as|async|await|bool|boolean|byte|bytes|can|cannot|char"
    r"|cfg|config|const|data|def|default|else|empty|env|enabled|disabled|false|flag|for|from|func"
    r"|function|hidden|if|in|input|int|integer|invalid|is|lambda|let|list|map|may|missing|must|name"
    r"|needs|new|nil|no|none|not|null|number|object|option|optional|options|opts|or|param|params"
    r"|read|redacted|ref|required|requires|res|response|result|return|self|set|should|some|str"
    r"|string|super|text|the|this|true|tuple|type|undefined|unknown|user|username|val|value|values"
    r"|var|varchar|void|was|will|with|write|yes|yield|your",
    re.IGNORECASE,
)
_OF_SECRETS = re.compile(  # a part of a name
    r"(?:auth|authtoken|credentials?|keys?|pass|passphrase|passwd|passwords?|pw|pwd|secrets?|tokens?)",
    re.IGNORECASE,
)


class _Name(NamedTuple):
    """The name of an assignment, where it begins, and what it proves."""

    text: str
    begin: int
    certain: bool
    of_password: bool
    variable: bool  # of an environment


def redact_assignments(text: str, lowered: str, redacted: str) -> str:
    """The text with `redacted` in the place of each secret that follows its name.

    `lowered` is the text in lower case, of the same length.
    """
    if not any(word in lowered for word in _WORDS):
        return text
    pieces: list[str] = []
    end = 0
    for begin, stop in sorted({*_assigned(text, lowered), *_marked(text, lowered)}):
        if begin >= end:
            pieces += text[end:begin], redacted
        end = max(end, stop)
    return "".join([*pieces, text[end:]]) if pieces else text


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, whatever its value is."""
    return bool(_CERTAIN.fullmatch(_plain(name)))


def looks_random(value: str, least: int = 8) -> bool:
    """Whether a text is rather a key or a token than a word of a language."""
    if len(value) < least or not value.isascii() or not value.isprintable() or _UNLIKE_A_KEY.search(value):
        return False
    if _DIGIT.search(value) and _LETTER.search(value):
        return not _is_made_of_names(value.rstrip("0123456789"))
    return len(value) >= 20 and value.lower() != value != value.upper() and not _TYPE_NAME.fullmatch(value)


def _assigned(text: str, lowered: str) -> Iterator[tuple[int, int]]:
    done = 0
    for found in _ASSIGNED.finditer(lowered):
        if found.start() < done or found.end() == len(text) or text[found.end()] in "\r\n":
            continue
        name = _name(text, lowered, found)
        if name is not None and (value := _value(text, found, name)) is not None:
            begin, end = value.span("value")
            done = _REST.match(text, end).end() if end - begin == _LOOKED_AT else end  # type: ignore[union-attr]
            yield begin, done


def _name(text: str, lowered: str, found: re.Match[str]) -> _Name | None:
    begin = max(0, found.start() - _LONGEST_NAME)
    begin += len(text[begin : found.start()].rstrip(_OF_NAMES))
    if text[begin - 1 : begin] == "/":
        return None  # a path: /etc/passwd: No such file
    stop = found.start("close") if found["close"] else found.start("gap")
    named = text[begin:stop].rstrip("]")
    certain, of_password, variable = _proof(named)
    variable = variable and found["sep"] == "=" and not found["gap"]
    word = lowered[found.start() : found.start() + 3]
    if not certain and ((word in ("key", "pas") and not variable) or (word == "pwd" and variable)):
        return None  # of PWD the value is a folder
    return _Name(named, begin, certain, of_password, variable)


@lru_cache(maxsize=_REMEMBERED)
def _proof(name: str) -> tuple[bool, bool, bool]:
    """Whether it is certainly a secret's, a password's, and may be a variable's of an environment."""
    return is_secret_name(name), bool(_PASSWORD.search(name.lower())), bool(_VARIABLE.fullmatch(name))


def _value(text: str, found: re.Match[str], name: _Name) -> re.Match[str] | None:
    at = found.end()
    if found["sep"] == ":" and (annotated := _ANNOTATION.match(text, at)):
        at = annotated.end()
    quoted = _QUOTED.match(text, at)
    if quoted is not None and _is_whole(quoted, text):
        return quoted if _is_secret_text(quoted, name, found) else None
    if name.of_password and (words := _QUOTED_WORDS.match(text, at)):
        return words if _is_passphrase(words["value"], name) else None
    if text[at] in "\"'`\\" or (found["close"] and found["sep"] != ":"):
        return None  # words in quotes, or what code puts into a field
    return _bare(text, at, found, name)


def _is_whole(quoted: re.Match[str], text: str) -> bool:
    """Whether the quotes hold one word, or what is left of it where the text ends or goes on for long."""
    begin, end = quoted.span("value")
    return end == len(text) or end - begin == _LOOKED_AT or text.startswith(quoted["quote"], end)


def _is_secret_text(quoted: re.Match[str], name: _Name, found: re.Match[str]) -> bool:
    value = quoted["value"]
    if "f" in quoted["prefix"].lower() and "{" in value:
        return False
    if _is_reference(value) or _NO_VALUE.fullmatch(value):
        return False
    if _is_made_of_names(value) and not (name.variable and name.of_password):
        return False
    if name.certain:
        return True
    return looks_random(value, 6 if found["close"] or name.variable else 8)


def _is_passphrase(value: str, name: _Name) -> bool:
    """Whether quoted words are a secret, and not a label, a message or a description."""
    if not name.variable and "passphrase" not in name.text.lower():
        return False
    return "{" not in value and not any(map(_OF_SECRETS.fullmatch, re.findall(r"[A-Za-z]+", value)))


def _bare(text: str, at: int, found: re.Match[str], name: _Name) -> re.Match[str] | None:
    if found["after"] and text.startswith("# ", at):
        return None  # a comment
    head = _line_head(text, name.begin)
    whole = _REST_OF_LINE.match(text, at) if head is not None else None
    if whole is not None and whole["value"][-1] in ",;{([":
        whole = None  # code: what follows the value belongs to what is around
    if name.variable and not found["after"]:
        return _of_variable(text, at, name, whole)
    if whole is not None and head is not None:
        spaced = "=" in found["sep"] and bool(found["gap"])
        return whole if _is_secret_line(whole["value"], name, code=spaced and bool(head["indent"])) else None
    bare = _BARE.match(text, at)
    if bare is None or text[bare.end() : bare.end() + 1] in ("(", "[", "{", "<"):
        return None
    return bare if _is_secret_inline(bare, text, found, name) else None


def _of_variable(text: str, at: int, name: _Name, whole: re.Match[str] | None) -> re.Match[str] | None:
    """The secret value of a variable of an environment; `whole` is a line that has nothing else."""
    if whole is not None and not _CODE.match(whole["value"]):
        return whole if _is_secret_variable(whole["value"], name) else None
    word = _SHELL_WORD.match(text, at)
    after = text[word.end() : word.end() + 1] if word is not None else ""
    if word is None or after in ("(", "<") or (after in (",", ")") and _WORD.fullmatch(word["value"])):
        return None  # a call, or an argument of one
    return word if _is_secret_variable(word["value"], name) else None


def _line_head(text: str, at: int) -> re.Match[str] | None:
    """What stands before a name on its line, if nothing but that does; lines may end in an escaped `\\n`."""
    least = max(0, at - _LONGEST_HEAD)
    ends = [found + len(mark) for mark in ("\n", "\r", "\\n") if (found := text.rfind(mark, least, at)) >= 0]
    if not ends and least:
        return None
    return _LINE_HEAD.fullmatch(text, max(ends, default=0), at)


def _is_secret_variable(value: str, name: _Name) -> bool:
    if _is_reference(value) or _NO_VALUE.fullmatch(value) or (_is_made_of_names(value) and value.isupper()):
        return False
    if value.isdigit() and not name.of_password:
        return False
    return name.certain or name.text.endswith("TOKEN") or looks_random(value)


def _is_secret_line(value: str, name: _Name, *, code: bool) -> bool:
    """Whether the only value of a line that begins with its name is a secret."""
    if _is_of_code(value) or value.endswith("." + name.text):
        return False
    if _WORD.fullmatch(value):
        return name.certain and not code and not _TYPE_NAME.fullmatch(value)
    return _is_certain(value, name) or looks_random(value, 6)


def _is_secret_inline(bare: re.Match[str], text: str, found: re.Match[str], name: _Name) -> bool:
    value, after = bare["value"].rstrip("."), text[bare.end() : bare.end() + 2]
    if not value or _is_of_code(value):
        return False
    if not _WORD.fullmatch(value):
        return _is_certain(value, name) or looks_random(value)
    if not name.certain or found["gap"]:
        return False
    ends = after[:1] in ("", "\n", "\r") or after == "\\n"
    if found["sep"] == ":":
        return ends and bool(found["after"]) and not _TYPE_NAME.fullmatch(value)
    # Of a connection (`host=… password=… dbname=…`, `Uid=…;Pwd=…;`), not of a call (`f(a, password=…)`).
    before = text[max(0, name.begin - 2) : name.begin]
    return not found["after"] and (
        before[-1:] == ";" or (before[-1:] in (" ", "") and before[:1] != "," and (ends or after[0] == " "))
    )


def _is_certain(value: str, name: _Name) -> bool:
    return name.certain and (len(value) >= 4 or not value.isdigit())


@lru_cache(maxsize=_REMEMBERED)
def _is_of_code(value: str) -> bool:
    """Whether a value without quotes is an expression, a type or a reference."""
    if _is_reference(value) or _CODE.match(value) or _ATTRIBUTE.fullmatch(value):
        return True
    if _is_made_of_names(value.rstrip("=")):
        return True
    return all(_NO_VALUE.fullmatch(part.strip("?")) for part in value.split("|"))


def _is_reference(value: str) -> bool:
    return bool(_REFERENCE.fullmatch(value) or _HOLDS_A_GAP.search(value))


def _is_made_of_names(value: str) -> bool:
    """Whether it is a name such as `user_password` or `accessToken`, not a value."""
    if len(value) > _LONGEST_NAME:
        return False
    return not _PART.sub("", value).strip("_-./ ") and any(map(_OF_SECRETS.fullmatch, _PART.findall(value)))


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(".", "")


_NAMES = (
    r"(?:[a-z0-9]{1,30}[_.-]){0,3}"
    r"(?:[a-z]{0,20}passw(?:or)?d|passphrase|[a-z]{0,20}secret|[a-z]{0,20}token|(?:api|access|private|secret)[_-]?key)"
)
# Without a sign between name and value, or with a tag: the text in lower case, and a hint of it.
_MARKED = (
    ("--", re.compile(rf"--{_NAMES}[ \t]+(?P<quote>[\"']?)(?P<value>(?!-)[^\s\"'`|<>;]{{1,2000}})")),
    ("</", re.compile(rf"<(?P<tag>{_NAMES})>(?P<value>[^\s<>]{{1,2000}})</(?P=tag)>")),
    ("machine ", re.compile(r"\bmachine\s+\S{1,200}\s+login\s+\S{1,200}\s+password\s+(?P<value>\S{1,200})")),
    ("define", re.compile(rf"#[ \t]*define[ \t]+{_NAMES}[ \t]+\"(?P<value>[^\s\"]{{1,2000}})\"")),
    ("env ", re.compile(rf"(?:^|\n|\\n)env[ \t]+{_NAMES}[ \t]+(?P<value>(?!=)[^\s\"']{{1,2000}})")),
)


def _marked(text: str, lowered: str) -> Iterator[tuple[int, int]]:
    for hint, pattern in _MARKED:
        if hint not in lowered:
            continue
        for found in pattern.finditer(lowered):
            begin, end = found.span("value")
            value = text[begin:end].rstrip(",.:")
            end = begin + len(value)
            if not value or _is_of_code(value) or (value.isdigit() and len(value) < 4):
                continue
            # "--password is not logged": the first word of prose, unless it is the end of a command.
            if hint == "--" and _WORD.fullmatch(value) and not found["quote"] and _PROSE.match(text, end):
                continue
            yield begin, end


_PROSE = re.compile(r"[.,:)]|[ \t]+[a-z]")
