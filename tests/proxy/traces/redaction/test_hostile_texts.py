"""Texts that are made to keep the search for secrets busy: it takes as long as they are, no longer."""

from __future__ import annotations

import time

import pytest

from proxy.traces.redaction.secret_shapes import redact_shapes

BEGINNINGS = [
    *("sk-", "sk-a-", "-eyJaaaaaaaa", "éeyJaaaaaaaa", "api-key:", "x-api-key: ", "bearer ", "cookie:a"),
    *("-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n- ", "://a:", "?a_key=", "&a_", "SG.a-"),
    *("password=", "PASSWORD=", "password: ", "token=", "token=a.b.", "secret: [", 'passphrase: "a b '),
    *("key=", "--token a", "<token>", "machine a login ", "env token ", 'TOKEN=\\"', "token=$x{"),
    *("password:\n", "password: |\n ", "password:\n- a b\n", 'passwords: ["a b",', "name: key value: "),
    *("value: 'a', name: key ", "| api_key | a b ", "api_key  a b", "curl -u a", "kind: secret\ndata:\n"),
    *("kind: secret\n", "data:\n", "--token\n- ", '("password", "a', "password: a b c d ", "authorization: "),
    *("a,password\n", "| password |\n|--|\n", " secret\n---\n a\n", '"a,password\\n', "a;api_key\n1;'x\n"),
    *("mysql a ", "mysql -u a -p", "mysql", "$1$a", "$argon2id$", ":5432:a:b:", 'auth": ', "hvs.", "dp.pt."),
    *("/api/webhooks/1234567890/", "12345678:AA", "gsk_aaaaaaaaaaaaaaaaaaaa ", "&a_b_c_", "?a-a-a-"),
    *("MTaaaaaaaaaaaaaaaaaaaaaa.aaaaaa.", "tskey-a-a-", "AKIAAAAAAAAAAAAAAAAA_", "1//0"),
    *("\\npassword: a b c #", "\\npassword: a #", "password: |\\n a", 'passwords: ["a", "secrets: ["'),
]  # fmt: skip
SHORT, TIMES_LONGER = 20_000, 16


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_the_time_grows_as_the_text_does(beginning: str) -> None:
    short, long = (beginning * (size // len(beginning)) for size in (SHORT, SHORT * TIMES_LONGER))
    growth = min(_processor_time(long) / max(_processor_time(short), 1e-4) for _ in range(3))
    assert growth < TIMES_LONGER * 4, "looked at again and again: it grows with the square of the length"


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\nMIIE-x\n"
        "-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----" + "\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 3,
        "sk-" + "a" * 19 + "1",
        "sk-live_of-me-and-you-2",
        "eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSMeK",
    ],
)
def test_whole_secrets_go_all_the_same(text: str) -> None:
    assert redact_shapes(f"a {text}") == "a [redacted]"


def test_each_of_two_keys_goes_where_the_first_was_cut_off() -> None:
    cut = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n"
    whole = cut + "MIIE\n-----END PRIVATE KEY-----"
    assert redact_shapes(cut + "x\n" + whole) == "[redacted]\nx\n[redacted]"


def _processor_time(text: str) -> float:
    began = time.process_time()
    redact_shapes(text)
    return time.process_time() - began
