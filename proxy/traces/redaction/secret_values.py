"""Whether what stands behind the name of a secret is one, or code, a reference or a sentence."""

from __future__ import annotations

import re
from functools import lru_cache

_REMEMBERED = 4096  # values: the same ones come again and again
_LONGEST_NAME = 60

WORD = re.compile(r"[A-Za-z_]+")
TYPE_NAME = re.compile(r"(?:[A-Z][a-z]{2,}){2,}")
CALL = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::|->|\?\.)[A-Za-z_$][\w$]*)*(?:\.|::|->|\?\.|!)?[(\[{<]")
_DIGIT, _LETTER, _UNLIKE_A_KEY = re.compile(r"[0-9]"), re.compile(r"[A-Za-z]"), re.compile(r"[ \[\]]")
_ATTRIBUTE = re.compile(
    r"[A-Za-z_$]+\d{0,2}(?:(?:\.|::|->|\?\.)[A-Za-z_$]+\d{0,2})+!?"
    r"|(?:args|cls|config|opts|options|process|req|request|self|settings|this)(?:\.[A-Za-z_]\w*)+"
)
_NUMBERED_TYPE = re.compile(
    r"(?:[a-z]\w{0,30}\.)?(?:[A-Z][a-z]{0,4}|[A-Z]{2,5})\d{1,5}((?:[A-Z][a-z]{2,}){2,})"
)
_CLOSES = re.compile(r"[)\]}]+[:,;]?")
_REFERENCE = re.compile(
    r"\$\w+|\$\(.*|[$%#]?\{.*\}|%\w+%|%(?:\(\w+\))?[sdr]"  # a variable, a template
    r"|<.*|\[.*"  # a gap to be filled, what was taken out
    r"|[&*]'?[A-Za-z_].*|!\w+|\?.*|[|>][+-]?"  # of Rust, of YAML, of a shell
    r"|(?:https?|file)://.*|\.{0,2}/[\w.@-]+(?:/[\w.@-]*)*|~/.*"  # a place
    r"|[*•.…_:-]+|x{3,}|.{0,16}(?:\.{3}|…|[*•x]{3,})",  # stars, and sk-…
    re.IGNORECASE | re.DOTALL,
)
_HOLDS_A_GAP = re.compile(  # a template's, or of what was taken out
    r"[$#]\{[\w .:?!+=/|-]*(?:\}|\Z)|[$#]?\{\{[^{}]*(?:\}\}|\Z)|\[redacted\]", re.IGNORECASE
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NO_VALUE = re.compile(  # a type, a keyword, a variable's usual name, what documents say of an option
    r"and|any|are|arg|args|argument|array|as|async|await|bool|boolean|byte|bytes|can|cannot|char"
    r"|cfg|config|const|data|def|default|else|empty|env|enabled|disabled|false|flag|for|from|func"
    r"|function|hidden|if|in|inherit|input|int|integer|invalid|is|lambda|let|list|map|may|missing|must|name"
    r"|needs|new|nil|no|none|not|null|number|object|option|optional|options|opts|or|param|params"
    r"|read|redacted|ref|required|requires|res|response|result|return|self|set|should|some|str"
    r"|string|super|text|the|this|true|tuple|type|undefined|unknown|user|username|val|value|values"
    r"|var|varchar|void|was|will|with|write|yes|yield|your",
    re.IGNORECASE,
)
_OF_SECRETS = re.compile(  # a part of a name
    r"(?:auth|authtoken|credentials?|creds|keys?|pass|passphrase|passwd|passwords?|pw|pwd|secrets?|tokens?)",
    re.IGNORECASE,
)
# A name made for a thing, not for keeping it: where code and settings count or point.
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Sentences have these, and lists of words of which people make passphrases do not.
_OF_SENTENCES = re.compile(
    r"a|an|at|be|been|but|by|choose|do|does|enter|has|have|here|how|i|incorrect|it|its|least|of|on|only|please"
    r"|than|that|then|there|these|they|to|too|we|what|when|where|which|who|you",
    re.IGNORECASE,
)
_SPOKEN = re.compile(r"[^\W\d_]{2,}")
_ENDS_OF_CODE = (",", ";", "{", "(", "[", ")", "}", "]", ":")
_FEWEST_WORDS, _MOST_WORDS = 3, 12


def looks_random(value: str, least: int = 8) -> bool:
    """Whether a text is rather a key or a token than a word of a language."""
    if len(value) < least or not value.isascii() or not value.isprintable() or _UNLIKE_A_KEY.search(value):
        return False
    if _DIGIT.search(value) and _LETTER.search(value):
        return not is_made_of_names(value)
    return len(value) >= 20 and value.lower() != value != value.upper() and not TYPE_NAME.fullmatch(value)


def is_hash(value: str) -> bool:
    """Whether it is the hash of a commit or a file, or a UUID: what names a thing."""
    return bool(_HASH.fullmatch(value))


def is_no_value(value: str) -> bool:
    """Whether it is a type, a keyword or a word that documents have there."""
    return bool(_NO_VALUE.fullmatch(value))


@lru_cache(maxsize=_REMEMBERED)
def is_of_code(value: str) -> bool:
    """Whether a value without quotes is an expression, a type or a reference."""
    if is_reference(value) or CALL.match(value) or _ATTRIBUTE.fullmatch(value):
        return True
    if is_made_of_names(value.rstrip("="), digits=False):
        return True
    if (typed := _NUMBERED_TYPE.fullmatch(value)) and is_made_of_names(typed[1], digits=False):
        return True  # Ed25519PrivateKey
    if (closed := _CLOSES.search(value)) and closed.end() == len(value):
        return is_of_code(value[: closed.start()])  # the last argument of a call, and what it closes
    return all(_NO_VALUE.fullmatch(part.strip("?")) for part in value.split("|"))


def is_reference(value: str) -> bool:
    """Whether it says where the value comes from, or that somebody has to put one there."""
    return bool(_REFERENCE.fullmatch(value) or _HOLDS_A_GAP.search(value))


def is_made_of_names(value: str, *, digits: bool = True) -> bool:
    """Whether it is a name such as `user_password`, `accessToken` or, with digits at its end, `token_2`."""
    if len(value) > _LONGEST_NAME:
        return False
    value = value.rstrip("0123456789") if digits else value
    return not _PART.sub("", value).strip("_-./: ") and any(map(_OF_SECRETS.fullmatch, _PART.findall(value)))


def is_of_sentence(value: str) -> bool:
    """Whether one of several words is one that sentences are built with."""
    return any(is_no_value(word) or _OF_SENTENCES.fullmatch(word) for word in re.findall(r"[A-Za-z]+", value))


def is_made_of_words(value: str) -> bool:
    """Whether one of several words speaks of secrets, as a label does."""
    return any(map(_OF_SECRETS.fullmatch, re.findall(r"[A-Za-z]+", value)))


def is_passphrase(value: str) -> bool:
    """Whether words are rather a secret than a label, a message or a description.

    From three words on, none of which a sentence is built with. What people mix with digits goes from two.
    """
    words = value.split()
    if not 2 <= len(words) <= _MOST_WORDS or is_reference(value) or is_reference(words[0]):
        return False
    if value.endswith(_ENDS_OF_CODE) or any(map(CALL.match, words)):
        return False
    plain = [word.strip(".,;:!?'\"()-") for word in words]
    if any(_OF_SECRETS.fullmatch(word) or _NO_VALUE.fullmatch(word) for word in plain):
        return False
    if any(_OF_SENTENCES.fullmatch(word) for word in plain):
        return False
    mixed = any(looks_random(word, 4) for word in plain)
    spoken = sum(1 for word in plain if _SPOKEN.fullmatch(word))
    return mixed or (len(words) >= _FEWEST_WORDS and spoken >= len(words) - 1)
