from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.options.kinds import (
    FLAG,
    FOLDERS,
    LEVEL,
    NAME,
    PORT,
    PRICES,
    SECRET,
    TEXT,
    TOKENS,
    URL,
    Kind,
    checked,
    nearest,
    shown,
)
from proxy.configuration.settings import BACKEND

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (PORT, "8082", 8082),
        (PORT, " 0 ", 0),
        (LEVEL, "3", 3),
        (TOKENS, "32768", 32768),
        (FLAG, "TRUE", True),
        (FLAG, "off", False),
        (FLAG, "0", False),
        (URL, "http://localhost:1234/v1/", "http://localhost:1234/v1"),
        (URL, "https://[::1]:9/x", "https://[::1]:9/x"),
        (BACKEND, "vllm-mlx", "vllm-mlx"),
        (TEXT, "", ""),
    ],
)
def test_text_from_the_environment_becomes_a_typed_value(kind: Kind, text: str, value: Any) -> None:
    assert checked(kind, kind.from_text(text), "HERE") == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (PORT, "8082"),
        (PORT, 65536),
        (PORT, -1),
        (PORT, True),
        (PORT, 80.0),
        (PORT, None),
        (LEVEL, 4),
        (TOKENS, 12),
        (FLAG, "true"),
        (FLAG, 1),
        (URL, "localhost:1234"),
        (URL, "ftp://host/"),
        (URL, "http://"),
        (URL, "http://[::1"),
        (URL, "http://host:99999/v1"),
        (URL, "http://host/?key=1"),
        (URL, "http://127.0.0.1\\@host/"),
        (URL, "http://127.0.0.1 .host/"),
        (BACKEND, "llama"),
        (BACKEND, {}),
        (NAME, "  "),
        (TEXT, "two\nlines"),
        (TEXT, 5),
    ],
)
def test_a_wrong_value_names_the_place_the_value_and_what_is_allowed(kind: Kind, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^HERE is .*; allowed: ") as caught:
        checked(kind, value, "HERE")
    assert kind.allowed in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["sk-\u2026", "sk-\u043a\u043b", "sk-\x7f"])
def test_a_secret_that_no_header_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"HERE is not usable; allowed: .*ASCII"):
        checked(SECRET, text, "HERE")


@pytest.mark.parametrize("kind", [TEXT, NAME, SECRET, URL], ids=["text", "name", "secret", "url"])
def test_half_a_character_is_no_text(kind: Kind) -> None:
    with pytest.raises(ValueError, match="HERE is"):
        checked(kind, "http://a\ud800", "HERE")


def test_a_secret_is_not_repeated_in_a_message() -> None:
    with pytest.raises(ValueError, match="allowed") as caught:
        checked(SECRET, "sk-live\n123", "HERE")
    assert "sk-live" not in str(caught.value)


def outcome(kind: Kind, value: Any) -> tuple[Any, str]:
    """The checked value and no problem, or none and the problem."""
    try:
        return checked(kind, value, "HERE"), ""
    except ValueError as error:
        return None, str(error)


@given(value=JSON, kind=st.sampled_from([TEXT, NAME, FLAG, PORT, LEVEL, TOKENS, URL, BACKEND]))
def test_any_json_value_is_taken_or_refused_in_one_line(value: Any, kind: Kind) -> None:
    taken, problem = outcome(kind, value)
    if problem:
        assert problem.isprintable()
    else:
        assert outcome(kind, taken) == (taken, "")


@given(text=st.text(max_size=30), kind=st.sampled_from([TEXT, FLAG, PORT, LEVEL, TOKENS, URL, BACKEND]))
def test_any_text_is_taken_or_refused(text: str, kind: Kind) -> None:
    _, problem = outcome(kind, kind.from_text(text))
    assert not problem or "; allowed: " in problem


def test_the_nearest_known_word_is_named_whatever_its_case() -> None:
    assert nearest("BASEURL", ["baseUrl", "port"]) == '; did you mean "baseUrl"?'
    assert nearest("prot", ["baseUrl", "port"]) == '; did you mean "port"?'


def test_without_a_near_word_all_are_named() -> None:
    assert nearest("zzzz", ["baseUrl", "port"]) == "; known here: baseUrl, port"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://me:hunter2@host/v1?x=1", '"http://***@host/v1..."'),
        ("http://me:hun#ter2@host/v1", '"http://***@host/v1"'),
        ("http://me:hun/ter2@host:99999", '"http://***@host:99999"'),
        ("http://me:hun?t/e r2@host", '"http://***@host"'),
        ("me:hunter2@host", '"***@host"'),
        ("ftp://host/v1", '"ftp://host/v1"'),
        ("http://host/v1?key=hunter2", '"http://host/v1..."'),
        ("http://host/v1#hunter2", '"http://host/v1..."'),
        ("http://host?mail=a@b&key=hunter2", '"http://***@b..."'),
    ],
)
def test_no_password_of_a_wrong_address_is_repeated(address: str, says: str) -> None:
    _, problem = outcome(URL, address)
    assert problem == f"HERE is {says}; allowed: {URL.allowed}"


def test_texts_within_a_wrong_value_are_not_repeated() -> None:
    _, problem = outcome(PORT, {"apiKey": ["hunter2"], "port": 1})
    assert problem == f'HERE is {{"apiKey": ["..."], "port": 1}}; allowed: {PORT.allowed}'


@pytest.mark.parametrize(
    ("text", "folders"),
    [
        ("~/models:/Volumes/big", ("~/models", "/Volumes/big")),
        ('["~/a b"]', ("~/a b",)),
        ("", ()),
        ("models", None),
        ('["/x", 3]', None),
        ("~else/models", None),
    ],
)
def test_folders_are_absolute(text: str, folders: tuple[str, ...] | None) -> None:
    taken, problem = outcome(FOLDERS, FOLDERS.from_text(text))
    assert taken == folders
    assert (problem == "") == (folders is not None)


def test_prices_nested_without_end_are_refused() -> None:
    assert outcome(PRICES, PRICES.from_text("[" * 100_000))[1]


def test_a_long_value_is_shortened() -> None:
    assert len(shown("x" * 1000)) == 60


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ('{"claude-*": {"input": 3, "cacheRead": 0.3, "output": 15}}', True),
        ("{}", True),
        ('{"x": {"inputs": 3}}', False),
        ('{"x": {"input": -1}}', False),
        ('{"x": {"input": true}}', False),
        ('{"x": {}}', False),
        ('{"": {"input": 1}}', False),
        ('{"x": 3}', False),
        ("cheap", False),
    ],
)
def test_prices_are_a_table_of_numbers(text: str, good: bool) -> None:
    value = PRICES.from_text(text)
    if good:
        assert checked(PRICES, value, "prices") == value
    else:
        with pytest.raises(ValueError, match="prices of a million tokens by model"):
            checked(PRICES, value, "prices")
