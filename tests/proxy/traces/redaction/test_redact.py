from __future__ import annotations

import json
import string
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.events.types import CacheMiss, CacheVerdict, ErrorInfo
from proxy.traces.redaction.redact import Redactor, redacted_trace
from proxy.traces.redaction.secret_names import is_secret_name
from proxy.traces.redaction.secret_shapes import redact_shapes
from proxy.traces.schema import TraceRequest, TraceResponse, WrittenPart
from tests.proxy.trace_making import call_of, trace_of

ALNUM = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
BLOCK = "MIIEowIBAAKCAQEAx7Jq0v8mZk3c9d1b2f4a6e8g0h2j4l6n8p0r2t4v6x8z0B2D"


def of(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most)


KEYS = st.one_of(
    of(ALNUM, 24, 48).map("sk-{}".format),
    of(ALNUM + "-_", 24, 90).map("sk-ant-api03-{}".format),
    of(ALNUM + "-_", 30, 60).map("sk-or-v1-{}".format),
    of(ALNUM, 36, 36).map("ghp_{}".format),
    of(ALNUM, 60, 60).map("github_pat_{}".format),
    of(string.ascii_uppercase + string.digits, 16, 16).map("AKIA{}".format),
    of(ALNUM, 35, 35).map("AIza{}".format),
    of(ALNUM, 30, 34).map("hf_{}".format),
    of(ALNUM, 20, 20).map("glpat-{}".format),
    of(ALNUM, 30, 40).map("xoxb-{}".format),
    of(ALNUM, 20, 30).map("eyJhbGciOiJI.eyJzdWIiOiIx.{}".format),
    # By whose beginning one knows who issued them.
    of(ALNUM, 52, 52).map("gsk_{}".format),
    of(ALNUM, 80, 80).map("xai-{}".format),
    of(ALNUM, 37, 37).map("r8_{}".format),
    of(HEX, 64, 64).map("dop_v1_{}".format),
    of(HEX, 32, 32).map("dapi{}".format),
    of(HEX, 32, 32).map("SK{}".format),
    of(HEX, 32, 32).map("shpat_{}".format),
    of(ALNUM, 40, 40).map("lin_api_{}".format),
    of(ALNUM, 90, 90).map("hvs.{}".format),
    of(ALNUM, 43, 43).map("dp.pt.{}".format),
)
# What a secret may stand between.
FRAMES = st.sampled_from(
    ["{}", "key: {}", "'{}'", '"{}",', "({})", "\n{}\n", "a={};", "curl -H 'x: {}' host", "→{}"]
)

HARMLESS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | of(ALNUM + " .,:-_()\n", 0, 60),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["a", "type", "token_count", "key"]), inner)
    ),
    max_leaves=30,
)


def everything(trace: Any) -> str:
    return json.dumps(trace, ensure_ascii=False)


@given(KEYS, FRAMES, st.text(" .\n", max_size=5))
def test_a_key_of_a_known_shape_is_never_left(key: str, frame: str, around: str) -> None:
    redacted = Redactor().value({"messages": [{"content": around + frame.format(key) + around}]})
    assert key not in everything(redacted)
    assert redacted["messages"][0]["content"] == around + frame.format("[redacted]") + around


@pytest.mark.parametrize("key", ["dp.pt." + "a1" * 22, "dp.st.dev." + "a1" * 22, "pscale_tkn_" + "a1B_" * 10])
def test_the_end_of_a_sentence_is_no_part_of_a_key(key: str) -> None:
    assert Redactor().text(f"It is {key}. Then go on...") == "It is [redacted]. Then go on..."


TOKENS = st.text(ALNUM + "\"'\\/+&ü ", min_size=8, max_size=40).filter(lambda s: s.strip() == s)


# Hypothesis takes words of the code itself: a placeholder (`lmstudio`) is no secret, and below a name of
# secrets (`passphrase`) items go as a whole.
@given(TOKENS.filter(lambda token: bool(Redactor([token]).secrets) and not is_secret_name(token)), FRAMES)
def test_the_hosts_own_token_is_never_left_wherever_it_stands(token: str, frame: str) -> None:
    redactor = Redactor([token])
    inner = json.dumps({"argument": frame.format(token)})
    redacted = redactor.value({token: [frame.format(token), inner]})
    assert token not in everything(redacted)
    assert json.dumps(token)[1:-1] not in everything(redacted)
    assert redacted["[redacted]"][0] == redactor.text(frame.format("[redacted]"))


@given(HARMLESS)
def test_harmless_values_come_back_equal_and_untouched(value: Any) -> None:
    before = everything(value)
    assert everything(Redactor(["a-token-of-the-host"]).value(value)) == before
    assert everything(value) == before


@pytest.mark.parametrize(
    "text",
    [
        "Bearer tokens are sent in the Authorization header.",
        "def password(self) -> str: return self._password",
        'const token = await getToken("session");',
        "the class .sk-loading-indicator-wrapper is animated",
        "task-0123456789abcdef-runner",
        "https://example.org:8080/path?page=2&monkey=banana",
        "postgres://user:${PASSWORD}@db/app",
        "https://example.org/?token={token}&key=<your key>",
        "MAX_TOKENS=4096 MONKEY=7",
        "export API_KEY=$OTHER",
        '{"password": {"type": "string", "description": "The password"}}',
        "-----BEGIN PRIVATE KEY----- is how such a block begins",
        "git commit 0123456789abcdef0123456789abcdef01234567",
        "user@example.org, see http://localhost:8081/v1",
        "550e8400-e29b-41d4-a716-446655440000",
        "cache-key-d41d8cd98f00b204e9800998ecf8427e",
        '{"auth": "required", "author": "ada"}',
        "mysql -u root -p ledger; mysql -p; mysqldump --port=3306 ledger",
        "awk '{print $1$2}', for $5 each, in $6$",
        "gsk_matmul(a, b), fw_update_the_firmware_of_all_devices(), secret_of_the_whole_family",
        "https://discord.com/api/webhooks/1234567890/messages",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redactor(["host-token-1"]).text(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc123def456", "Authorization: Bearer [redacted]"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [redacted]"),
        ("curl -H 'x-api-key: k3y-0123456'", "curl -H 'x-api-key: [redacted]'"),
        ("Cookie: sid=1; theme=dark\nHost: a", "Cookie: [redacted]\nHost: a"),
        ("psql postgres://app:hunter2@db:5432/x", "psql postgres://app:[redacted]@db:5432/x"),
        ("redis://:p4ss@cache", "redis://:[redacted]@cache"),
        ("https://h/cb?user=me&password=geheim&x=1", "https://h/cb?user=me&password=[redacted]&x=1"),
        ("?access_token=a.b.c#top", "?access_token=[redacted]#top"),
        ("OPENAI_API_KEY=abcd1234efgh next", "OPENAI_API_KEY=[redacted] next"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPx", "AWS_SECRET_ACCESS_KEY=[redacted]"),
        ("bot 1234567890:AA8jpU05mc4J1WRcQ1uhyMDabcdefghijkl", "bot 1234567890:[redacted]"),
        ("root:$6$a1b2c3d4$MUoTRczcMkBmWtjyVcJtOO:19000:0", "root:[redacted]:19000:0"),
        ("ada:$apr1$zswz26DX$O4O33i7rlbxRZQSw5AbQTS", "ada:[redacted]"),
        ("mysqldump -u root -pd1UsjObC ledger", "mysqldump -u root -p[redacted] ledger"),
        ("db.example.org:5432:ledger:ada:RvMQtKKA8x", "db.example.org:5432:ledger:ada:[redacted]"),
        ('{"auth":"GIyLza7wk38puJuFrs4nsdXbkJeM3w=="}', '{"auth":"[redacted]"}'),
        ("https://b/k?X-Amz-Signature=155a0e9d8f27&y=1", "https://b/k?X-Amz-Signature=[redacted]&y=1"),
        (
            "https://hooks.slack.com/services/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",
            "https://hooks.slack.com/services/[redacted]",
        ),
        ('{"password": "hunter2", "n": 1}', '{"password": "[redacted]", "n": 1}'),
        (r"{\"api_key\": \"hunter22\"}", r"{\"api_key\": \"[redacted]\"}"),
        (
            f"a\n-----BEGIN RSA PRIVATE KEY-----\n{BLOCK}\n-----END RSA PRIVATE KEY-----\nb",
            "a\n[redacted]\nb",
        ),
        (f"a -----BEGIN PRIVATE KEY-----\\n{BLOCK}\\n{BLOCK}", "a [redacted]"),
        (
            f"1→-----BEGIN EC PRIVATE KEY-----\n2→{BLOCK}\n3→-----END EC PRIVATE KEY-----\n4→x",
            "1→[redacted]\n4→x",
        ),
    ],
)
def test_a_secret_goes_and_the_rest_stays(text: str, redacted: str) -> None:
    assert Redactor().text(text) == redacted


def test_credential_headers_go_and_others_stay() -> None:
    headers = {
        "Authorization": "Bearer anyword",
        "x-api-key": "k",
        "Cookie": "a=b",
        "X-Auth-Token": "t",
        "x-claude-code-session-id": "550e8400",
        "anthropic-beta": "token-efficient-tools-2025-02-19",
        "user-agent": "claude-cli/2.1.330",
        "anthropic-ratelimit-tokens-limit": "100",
    }
    redacted = Redactor().headers(headers)
    gone = {name for name, value in redacted.items() if value == "[redacted]"}
    assert gone == {"Authorization", "x-api-key", "Cookie", "X-Auth-Token"}
    assert {name: headers[name] for name in headers if name not in gone} == {
        name: value for name, value in redacted.items() if name not in gone
    }


def test_fields_that_are_named_like_a_secret_lose_their_text() -> None:
    call = {"user": "me", "password": "hunter2", "apiKey": "abc", "secret": "", "token_count": "12"}
    assert Redactor().value(call) == call | {"password": "[redacted]", "apiKey": "[redacted]"}


def test_a_short_token_is_only_taken_for_one_where_it_stands_alone() -> None:
    assert Redactor(["cafe"]).text("cafe cafeteria; 'cafe'") == "[redacted] cafeteria; '[redacted]'"


@pytest.mark.parametrize("key", ["", "x", "abc", "vllm-mlx", "lm-studio", "not-needed"])
def test_placeholders_are_no_secrets(key: str) -> None:
    text = f"the backend {key} runs, x and abc"
    assert Redactor([key]).text(text) == text


def test_what_is_nested_too_deep_for_json_is_kept_as_text_without_its_secrets() -> None:
    deep: Any = "sk-ant-api03-0123456789abcdef"
    for _ in range(240):
        deep = [deep]
    redacted = json.dumps(Redactor().value(deep))
    assert "0123456789abcdef" not in redacted
    assert "[redacted]" in redacted


def test_the_hosts_own_secret_goes_in_the_forms_that_texts_and_addresses_give_it() -> None:
    secret = 'of"the/host 8412'
    text = f"say {secret} and {json.dumps(secret)} and ?q={quote(secret, safe='')}."
    assert Redactor([secret]).text(text) == 'say [redacted] and "[redacted]" and ?q=[redacted].'


def test_a_secret_that_begins_like_another_one_goes_as_a_whole() -> None:
    redactor = Redactor(["the-host-8412", "the-host-8412-and-more"])
    assert redactor.text("a the-host-8412-and-more b the-host-8412 c") == "a [redacted] b [redacted] c"


def test_a_json_text_whose_quotes_look_like_a_secret_loses_none_of_them() -> None:
    assert Redactor().text('["password","password:","geheim1"]') == '["password", "password:", "geheim1"]'
    assert json.loads(Redactor().text('{"k":["password"],"password":"password:","n":1}')) == {
        "k": ["password"],
        "password": "[redacted]",
        "n": 1,
    }


def test_an_option_that_takes_a_variable_keeps_its_name() -> None:
    words = ["run", "--api-key", "$KEY", "--password", "${PASSWORD}", "--token"]
    assert Redactor().value(words) == words


def test_what_a_model_has_as_a_tuple_is_searched_as_a_list_is() -> None:
    key = "sk-ant-api03-" + "Zq7" * 9
    value = {"probes": [(1.5, {"detail": f"no {key}"})], "passwords": ("geheim",), "of": ("--api-key", "x1")}
    assert Redactor().value(value) == {
        "probes": [[1.5, {"detail": "no [redacted]"}]],
        "passwords": ["[redacted]"],
        "of": ["--api-key", "[redacted]"],
    }


def test_long_texts_are_searched_to_their_end() -> None:
    text = "x " * 40_000
    assert redact_shapes(text + "ghp_" + "a1" * 18) == text + "[redacted]"


def test_each_text_of_a_trace_is_looked_through() -> None:
    key = "sk-ant-api03-0123456789abcdef"
    trace = trace_of(
        response=TraceResponse(error=ErrorInfo(type=key, message=key)),
        cache=CacheVerdict(miss=CacheMiss(segment=key, before=key, now=key)),
        tool_calls=[call_of(key, key)],
        written=[WrittenPart(kind="tool", start=0.5, end=1.0, call=key)],
        request=TraceRequest(method=key, path=key, query=key, headers={"x": key, "api_key": "plain"}),
    )
    redacted = redacted_trace(trace, Redactor()).model_dump_json()
    assert "0123456789" not in redacted
    assert "plain" not in redacted
