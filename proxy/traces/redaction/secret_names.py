"""Names of secrets: `password`, `DB_PASSWORD`, `client_secret`, and what each of them proves."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import lru_cache

_OF_NAMES = string.ascii_letters + string.digits + "_.-"
_LONGEST_NAME = 60
_REMEMBERED = 4096  # the same ones come again and again

# In lower case: with what the last word of a name begins, and all of that word.
LEADS = ("passw", "passphrase", "pwd", "secret", "token", "key", "_pass", "credential", "creds", "_auth")
LAST_WORD = re.compile(
    r"(?:passw(?:or)?ds?|passphrases?|pwd|secrets?|tokens?|keys?|_pass|credentials?|creds|_auth)"
    r"(?:[_-]?confirm(?:ation)?)?(?:_?\d{1,3})?(?![a-z0-9])"
)
_CERTAIN = re.compile(  # without _ - and .
    r"(?:.*(?:passw(?:or)?ds?|passphrases?|secrets?"
    r"|(?:access|account|api|encryption|master|private|secret|secretaccess|signing|subscription)keys?"
    r"|(?:access|admin|api|app|auth|bearer|bot|client|deploy|github|gitlab|hf|npm|oauth|refresh|security|session"
    r"|slack|user)tokens?"
    r"|(?:admin|database|db|ftp|mail|mysql|pg|postgres|redis|root|smtp|ssh|user)(?:pass|pwd))|idtoken)"
    r"(?:confirm(?:ation)?)?\d*"
)
_PASSWORD = re.compile(r"passw|passphrase")
_OF_TOKEN = re.compile(r"tokens?(?:_?\d*)")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_PLAIN = str.maketrans("", "", "_-.")


@dataclass(frozen=True, slots=True)
class SecretName:
    """A name that a secret may follow."""

    text: str
    certain: bool  # what follows is a secret, unless it is code
    of_password: bool
    of_token: bool
    of_key: bool  # of some key, such as a cache's
    variable: bool  # of an environment


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, whatever its value is."""
    return bool(_CERTAIN.fullmatch(name.lower().translate(_PLAIN)))


@lru_cache(maxsize=_REMEMBERED)
def secret_name(name: str) -> SecretName:
    """What a name proves that ends in a word of secrets."""
    lowered = name.lower()
    certain = is_secret_name(name)
    return SecretName(
        text=name,
        certain=certain,
        of_password=bool(_PASSWORD.search(lowered)),
        of_token=bool(_OF_TOKEN.search(lowered, max(0, len(lowered) - 10))),
        of_key=not certain and lowered[-8:].find("key") >= 0,
        variable=bool(_VARIABLE.fullmatch(name)),
    )


def begin_of_name(text: str, at: int) -> int:
    """Where the name begins whose last word stands at `at`."""
    begin = max(0, at - _LONGEST_NAME)
    begin += len(text[begin:at].rstrip(_OF_NAMES))
    escaped = begin < at and text[begin - 1 : begin] == "\\" and text[begin] in "nrt"  # the end of a line
    return begin + escaped
