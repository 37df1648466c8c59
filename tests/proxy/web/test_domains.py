"""Which pages domain lists allow."""

from __future__ import annotations

import pytest

from proxy.web.domains import DomainRules, plain_domains

CASES = [
    ("example.com", "https://example.com/a", True),
    ("example.com", "https://docs.example.com/", True),
    ("docs.example.com", "https://example.com/", False),
    ("example.com", "https://notexample.com/", False),
    ("example.com", "https://example.com.evil.org/", False),
    ("example.com", "https://example.com@evil.org/", False),
    ("Example.com", "https://EXAMPLE.com./", True),
    ("example.com/blog", "https://example.com/blog/1", True),
    ("example.com/blog", "https://example.com/shop", False),
    ("example.com/*/api", "https://example.com/v2/api/x", True),
    ("example.com/*/api", "https://example.com/api", False),
    ("example.com", "http://[broken", False),
]


@pytest.mark.parametrize(("rule", "url", "covered"), CASES)
def test_a_rule_covers_what_is_documented(rule: str, url: str, covered: bool) -> None:
    assert DomainRules(allowed=(rule,)).permit(url) is covered
    assert DomainRules(blocked=(rule,)).permit(url) is not covered


def test_entries_may_be_written_as_addresses() -> None:
    assert plain_domains(["https://a.example/", " b.example/x ", "", 7]) == ("a.example", "b.example/x")
