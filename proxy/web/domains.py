"""Which pages the domain lists of a request allow.

As documented for Anthropic's tools: `example.com` covers its subdomains, `docs.example.com` only itself and
its own, `example.com/blog` only what begins with that path, and `*` stands for anything within a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class DomainRules:
    """The domains that a request allows, or those that it blocks; empty: all are allowed."""

    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()

    def permit(self, url: str) -> bool:
        """Whether a page may be shown, or fetched."""
        if any(_covers(rule, url) for rule in self.blocked):
            return False
        return not self.allowed or any(_covers(rule, url) for rule in self.allowed)


ANY_DOMAIN = DomainRules()


def plain_domains(listed: Iterable[object]) -> tuple[str, ...]:
    """The entries of a domain list as rules: models write them with a scheme and a slash at the end, too."""
    texts = (each.strip() for each in listed if isinstance(each, str))
    rules = (re.sub(r"^[a-z]+://", "", text, flags=re.IGNORECASE).strip("/") for text in texts)
    return tuple(rule for rule in rules if rule)


def _covers(rule: str, url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return False
    domain, _, path = rule.partition("/")
    domain = domain.lower().rstrip(".")
    if host != domain and not host.endswith("." + domain):
        return False
    pattern = ".*".join(re.escape(piece) for piece in path.split("*"))
    return not path or re.match(f"/{pattern}", parts.path) is not None
