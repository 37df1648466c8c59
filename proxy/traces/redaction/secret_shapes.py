"""What secrets look like: the formats of well-known keys, and the places where texts give them away.

Formats are as their issuers publish them. Each rule has leads, literals with which a match begins, so that
a text without secrets costs a few substring searches, and one with a few of them not much more. No rule
looks at the same characters again for each beginning of a secret in them: a text may be made to stop a host.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import lru_cache

from proxy.traces.redaction.issued_keys import ISSUED, ISSUED_WITH_DOTS
from proxy.traces.redaction.leads import long_places, matches_at, places
from proxy.traces.redaction.secret_assignments import redact_assignments

REDACTED = "[redacted]"
_ASCII_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}

_REMEMBERED_LENGTH = 16_384  # characters; with 1024 texts, at most 16 MB of them

_NOT_BEFORE = r"(?<![A-Za-z0-9_])"
_VALUE = r"[^\s\"'\\&<>,;)}\]]"
_LITERAL_VALUE = r"(?![${<%*\[])"  # not a variable, a template's gap or stars


@dataclass(frozen=True, slots=True)
class SecretShape:
    """One way to know a secret; a group named `keep` is what stays in front of it."""

    leads: tuple[str, ...]  # in lower case where `any_case`
    pattern: re.Pattern[str]
    any_case: bool = False
    long: bool = False  # each match begins with a word of 20 characters or more

    def redact(self, text: str, lowered: str) -> str:
        """The text without what has this shape, or the same object if it has none."""
        find = long_places if self.long else places
        begins = find(lowered if self.any_case else text, self.leads)
        pieces: list[str] = []
        end = 0
        for found in matches_at(self.pattern, text, begins):
            kept = found.groupdict().get("keep") or ""
            pieces += text[end : found.start()], kept, REDACTED
            end = found.end()
        return "".join([*pieces, text[end:]]) if pieces else text


def _key(leads: str, pattern: str) -> SecretShape:
    return SecretShape(tuple(leads.split()), re.compile(_NOT_BEFORE + "(?:" + pattern + ")", re.ASCII))


def _place(leads: str, pattern: str) -> SecretShape:
    return SecretShape(tuple(leads.split()), re.compile(pattern, re.IGNORECASE), any_case=True)


_PRIVATE_KEY_LABEL = r"[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?"

SECRET_SHAPES: tuple[SecretShape, ...] = (
    # A whole block, or the head of one that was cut off.
    SecretShape(
        ("-----BEGIN ",),
        re.compile(
            rf"-----BEGIN {_PRIVATE_KEY_LABEL}-----"
            rf"(?:(?:[^-]|-(?!----)){{0,20000}}+-----END {_PRIVATE_KEY_LABEL}-----"
            r"|(?:(?:\s|\\[nr])*[A-Za-z0-9+/=]{16,})+)"
        ),
    ),
    # Anthropic, OpenAI, OpenRouter and all who write theirs alike; a digit tells a key from a CSS class.
    _key(
        "sk-",
        r"sk-(?:ant|or|proj|svcacct|admin)-[\w-]{8,}|sk-[A-Za-z0-9]{20,}|sk-(?=[A-Za-z_-]{0,100}\d)[\w-]{16,}",
    ),
    _key("ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"),
    _key("AKIA ASIA", r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _key("AIza ya29.", r"AIza[\w-]{35}|ya29\.[\w-]{20,}"),
    _key("xox xapp-", r"xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"),
    _key("hf_", r"hf_[A-Za-z0-9]{20,}"),
    _key("glpat- npm_ pypi-", r"glpat-[\w-]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}"),
    _key(
        "sk_live_ sk_test_ rk_live_ rk_test_ pk_live_ pk_test_",
        r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,}",
    ),
    _key("SG.", r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    _key("eyJ", r"(?<!-)eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}"),  # a JSON web token
    SecretShape(
        tuple(" ".join(leads for leads, _ in ISSUED).split()),
        re.compile("|".join(pattern for _, pattern in ISSUED), re.ASCII),
        long=True,
    ),
    *(_key(leads, pattern) for leads, pattern in ISSUED_WITH_DOTS),
    # Addresses that are keys, and the bot that a token is of.
    _place("hooks.slack.com/", r"(?P<keep>hooks\.slack\.com/(?:services|workflows)/)[A-Z0-9/]{20,}"),
    _place("/api/webhooks/", r"(?P<keep>/api/webhooks/\d{10,30}/)[\w-]{40,}"),
    SecretShape((":AA",), re.compile(r"(?P<keep>(?<=\d{8}):)AA[\w-]{30,40}", re.ASCII)),  # Telegram
    # Digests of passwords, as in shadow and htpasswd.
    SecretShape(
        ("$",),
        re.compile(r"\$(?:apr1|[156y]|2[aby]|argon2(?:id|[id]))\$(?=[./\w]*\d)[./\w$=,+-]{20,}", re.ASCII),
    ),
    # A database's password: right behind the option, and as the last of the fields of a .pgpass.
    SecretShape(
        ("mysql", "mariadb"),
        re.compile(
            rf"(?P<keep>(?:mysql|mariadb)\w{{0,10}}(?:[ \t]+(?!-p)[^\s;|&]{{1,60}}){{0,8}}[ \t]+-p[\"']?)"
            rf"{_LITERAL_VALUE}{_VALUE}{{4,}}"
        ),
    ),
    _place(":5432:", rf"(?P<keep>:5432:[^\s:]{{1,64}}:[^\s:]{{1,64}}:){_LITERAL_VALUE}{_VALUE}{{6,}}"),
    _place(
        'auth" auth\\',
        r"(?P<keep>auth\\{0,8}\"\s{0,8}:\s{0,8}\\{0,8}\")(?=[a-z]{0,40}[\dA-Z+/=])[\w+/=]{20,}",
    ),
    _place("bearer", r"(?P<keep>(?<![a-z])bearer\s+)(?:(?=[^\s\"']*\d)[\w.~+/=-]{8,}|[\w.~+/=-]{32,})"),
    _place(
        "authorization",
        r"(?P<keep>authorization\s*[:=]\s*(?:(?:basic|(?:api-)?token)\s+(?=[\w.~+/=-]{6})"
        r"|(?=[^\s\"']{0,100}\d)(?=[\w.~+/=@-]{16})))[\w.~+/=@-]+",
    ),
    _place("cookie", r"(?P<keep>\bcookie:\s*)(?=[\w!#$%&*+.^|~-]+=)[^\r\n\"']+"),
    _place("api-key", rf"(?P<keep>\bapi-key\s*:\s*)(?=[^\s\d]{{0,100}}\d){_LITERAL_VALUE}{_VALUE}{{6,}}"),
    # A password in an address, before the host or among the parameters.
    _place("://", rf"(?P<keep>://[^\s/:@\"'<>]{{0,200}}:){_LITERAL_VALUE}[^\s/@\"'<>]{{1,500}}(?=@)"),
    _place(
        "? &",
        r"(?P<keep>[?&](?:[a-z]{1,20}[_-]){0,3}(?:api_?key|key|token|secret|password|passwd|pwd|sig|signature)=)"
        rf"{_LITERAL_VALUE}[^\s&\"'#<>\\]+",
    ),
)


def redact_shapes(text: str) -> str:
    """The text with everything that has a secret's shape replaced."""
    # Clients send the same prompt and tools again with every request.
    return _redact_known(text) if len(text) <= _REMEMBERED_LENGTH else _redact(text)


def _redact(text: str) -> str:
    lowered = _lower(text)
    for shape in SECRET_SHAPES:
        if (redacted := shape.redact(text, lowered)) is not text:
            text, lowered = redacted, _lower(redacted)
    return redact_assignments(text, lowered, REDACTED)


def _lower(text: str) -> str:
    """The text in lower case, of the same length."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.translate(_ASCII_LOWER)  # a letter became two


_redact_known = lru_cache(maxsize=1024)(_redact)
