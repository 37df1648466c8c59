"""Secrets that follow their name in a text, and code that only looks alike."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.traces.redaction.redact import Redactor
from proxy.traces.redaction.secret_shapes import redact_shapes

ROOT = Path(__file__).parents[4]

SECRETS = [
    "password: {}",
    '"password": "{}"',
    "{{'password': '{}'}}",
    "PASSWORD={}",
    "export DB_PASSWORD={}",
    "  POSTGRES_PASSWORD: {}",
    "- password: {}",
    "Password: {}",
    "**Password:** {}",
    "passwd={}",
    "secret: {}",
    "client_secret={}",
    "clientSecret: '{}'",
    "api_key = '{}'",
    "X-API-KEY: {}",
    "API_KEY={}",
    "DB_PASS={}",
    "HF_TOKEN={}",
    '"accessToken": "{}"',
    'const password = "{}";',
    'password: str = "{}"',
    'let secret: &str = "{}";',
    'config["password"] = "{}"',
    "Server=db;User Id=sa;Password={};Encrypt=true",
    "host=db user=ada password={} dbname=x",
    "mysql --password={} -u root",
    "deploy --token '{}'",
    "<password>{}</password>",
    "machine h login ada password {}",
    '#define API_KEY "{}"',
    "FROM scratch\nENV DB_PASSWORD {}",
    "     3→password: {}",
    "config.ini:3:password = {}",
    r"{{\"password\": \"{}\"}}",
    r'{{"content": "a: 1\npassword: {}\nb: 2"}}',
    "login failed for ada, password: {}\n",
]
CODE = [
    "password = get_password()",
    "def login(user: str, password: str) -> None:",
    "    password: str",
    "  password: string;",
    "  secret: String,",
    "token: Token",
    "token = tokens[0]",
    "token = self.next_token()",
    "token = parser.token2",
    'if token == "(" or password == other1:',
    "password = None",
    "password: Optional[str] = None",
    'password = os.environ["DB_PASSWORD"]',
    "password = user_password",
    "password: accessToken",
    "connect(user=user, password=password, token=token)",
    "connect(user=user, password=pw)",
    "login(password=self.password)",
    "    password = data",
    "    secret = geheim",
    '{"password": {"type": "string", "description": "The password"}}',
    '"password": "The password of the user"',
    '"password": null, "secret": true,',
    "password: $PASSWORD",
    "PASSWORD=${OTHER:?}",
    "API_KEY=<your-key>",
    "API_KEY=sk-...",
    'password: "********"',
    "MAX_TOKENS=4096 and token: 42",
    "\"token\": 42, 'token': 'identifier'",
    "{ token: 'comment.line.double-slash', foreground: 'ffa500' }",
    'eos_token: "<|im_end|>", "pad_token": "[PAD]"',
    "token_type: bearer",
    "passwordHash: x1",
    '<input type="password" name="password">',
    "name: password",
    "cat: /etc/passwd: No such file or directory",
    "/etc/passwd:1:root:x:0:0:root:/root:/bin/bash",
    "the password: it has to have 8 characters",
    "Password: required",
    "Password: strongly recommended",
    "--password PASSWORD, --token <token>, --max-tokens 5",
    "--password is not logged, --password requires --user",
    "tokens.map(token => token.text)",
    "password: process.env.DB_PASSWORD,",
    "PASSWORD_FILE=/run/secrets/db",
    "password: /run/secrets/db_password1",
    "password: ${{ secrets.PASSWORD }}",
    "password: {{ vault_password1 }}",
    "PWD=/home/ada",
    "TOKEN = auto()",
    'password: ""',
    "password: |",
    "f\"token={token} password={self.password!r} secret='{secret1}'\"",
    "login = machine, password (none)",
    "apiKey: process.env.KEY1!",
    "if got.access_token:  # pragma: no branch",
    "MLKEM768X25519PrivateKey = rust_openssl.hpke.MLKEM768X25519PrivateKey",
    'cookie: http.cookies.BaseCookie[str] = SimpleCookie("a=b")',
    "login(password=secret1, token=token_2)",
    "    password = secret1",
    "token_2 = 3; max_tokens=4096; total_tokens: 12",
    "password_field: str",
    "tokens: ['the', 'cat', 'a1b2c3d4']",
    "secrets: inherit",
    "    secrets = [name for name in names]",
    'assert secret1 == "a"',
    "scopes: ['secrets:write', 'passwd:shell']",
    "Password: at least eight characters please",
    'password: "Please choose a longer one"',
    "highlight-secret: rgba(255, 0, 0, 0.2);",
    "CACHE_KEY=550e8400-e29b-41d4-a716-446655440000",
    'SESSION_KEY="0123456789abcdef0123456789abcdef01234567"',
    "NO_ACCEPTABLE_AUTH = exports.SOCKS5_CUSTOM_AUTH_END = 1",
    "claude --resume 550e8400-e29b-41d4-a716-446655440000",
    '{"session_id": "550e8400-e29b-41d4-a716-446655440000"}',
    "user_1a_account__session_550e8400-e29b-41d4-a716-446655440000",
    "        access_token=None):",
    "    encryption_key=None):\n        pass",
    "    password=password)",
    "        accessToken=access_token)))",
    "    key_password=settings.db2_key,\n    port=1",
    "    access_token=request.resource_owner_key):",
    "'private_key': self._private_key_pkcs8_text",
    "    private_key: Ed25519PrivateKey | Ed448PrivateKey",
    "    private_key: x25519.X25519PrivateKey",
    "    private_key: PKCS7PrivateKeyTypes,",
    "    resource_owner_secret: str):",
    "  entity_mask2_token=entity_mask2_token,",
    '"batch_1_day_max_input_tokens": batch_1_day_max_input_tokens,',
    "index 0123456789abcdef0123456789abcdef01234567..89abcdef0123456789abcdef0123456789abcdef",
]


@pytest.mark.parametrize("frame", SECRETS)
@pytest.mark.parametrize("secret", ["hunter2", "geheim", "x", "wJalrXUtnFEMI/K7MDENG+b=="])
def test_what_follows_its_name_goes_and_the_rest_stays(frame: str, secret: str) -> None:
    assert redact_shapes(frame.format(secret)) == frame.format("[redacted]")


@pytest.mark.parametrize("text", CODE)
def test_code_and_prose_stay_readable(text: str) -> None:
    assert redact_shapes(text) == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ('{"token": "abc123"}', '{"token": "[redacted]"}'),
        ("token: a1b2c3", "token: [redacted]"),
        ("const token = 'a1b2c3d4e5';", "const token = '[redacted]';"),
        ('{"password": 123456}', '{"password": "[redacted]"}'),  # it stays JSON
        (r"{\"passwd\": 123456}", r"{\"passwd\": \"[redacted]\"}"),
        ("password: correct horse battery staple\nb: 1", "password: [redacted]\nb: 1"),
        ("password: My dog Rex 2019!", "password: [redacted]"),
        ('"password": "correct horse battery staple"', '"password": "[redacted]"'),
        ("DB_PASSWORD=correct horse battery staple", "DB_PASSWORD=[redacted]"),
        ("DB_PASSWORD='a b c' make test", "DB_PASSWORD='[redacted]' make test"),
        ("OPENAI_API_KEY=abcd1234efgh make test", "OPENAI_API_KEY=[redacted] make test"),
        ('if api_key == "geheim":', 'if api_key == "[redacted]":'),
        ('password != "hunter2"', 'password != "[redacted]"'),
        ('os.environ.get("API_KEY", "dafa7817-e246")', 'os.environ.get("API_KEY", "[redacted]")'),
        ('"passwords": "geheim"', '"passwords": "[redacted]"'),
        ("registry:_auth=am9objpkMDY5NGIx", "registry:_auth=[redacted]"),
        ('"credentials": "' + "0af" * 21 + '0"', '"credentials": "[redacted]"'),
        ("password: 'Passwort'", "password: '[redacted]'"),  # a translation, or a weak password: who knows
        ("token: 550e8400-e29b-41d4-a716-446655440000", "token: [redacted]"),
        ('{"a": "x\\npassword: geheim"}', '{"a": "x\\npassword: [redacted]"}'),
        ("PASSWORD=123456 SECRET=0", "PASSWORD=[redacted] SECRET=0"),
        (r'"password": "a\"b", "user": "c"', '"password": "[redacted]", "user": "c"'),
        ("password: a#b c", "password: [redacted] c"),
        ("password: #b1", "password: [redacted]"),
        ("password: it's,me(1)", "password: [redacted]"),
        ('"passphrase": "correct horse battery"', '"passphrase": "[redacted]"'),
        ('DB_PASSWORD="correct horse"', 'DB_PASSWORD="[redacted]"'),
        ("${DB_PASSWORD:-geheim}", "${DB_PASSWORD:[redacted]}"),
        ("password: hunter2, user: ada", "password: [redacted], user: ada"),
        ('"password": "' + "a" * 9000 + '", "b": 1', '"password": "[redacted]", "b": 1'),
        ('{"password": "cut-off-he', '{"password": "[redacted]'),
        ("İ password: geheim", "İ password: [redacted]"),  # which is two letters in lower case
        ("PW: x\r\npassword: geheim\r\nb: 1\r\n", "PW: x\r\npassword: [redacted]\r\nb: 1\r\n"),
    ],
)
def test_how_far_a_secret_goes(text: str, redacted: str) -> None:
    assert redact_shapes(text) == redacted


NAMES = st.sampled_from(["password", "db_password", "clientSecret", "api-key", "PASSWD", "refresh_token"])
# As a generator of passwords makes them. What ends a word of a shell is in quotes there, points are of code.
PASSWORDS = st.text(string.ascii_letters + string.digits + "!#%+,-=@^~", min_size=8, max_size=60).filter(
    lambda value: any(map(str.isdigit, value)) and value[0].isalnum() and value[-1].isalnum()
)


@given(NAMES, PASSWORDS, st.sampled_from(['"{}": "{}"', "{}: '{}'", "{}={}", "{} = '{}'", "x\n  {}: {}\ny"]))
def test_a_made_up_password_is_never_left(name: str, value: str, frame: str) -> None:
    assert value not in redact_shapes(frame.format(name, value))


PIECES = st.sampled_from(
    [
        *(
            "password",
            "token",
            "secret",
            "api_key",
            "PASSWORD",
            "TOKEN",
            "--token",
            "passphrase",
            "login",
            "machine",
            "name",
            "value",
            "secrets",
            "curl -u ",
            "kind: Secret",
            "data",
            "id,password\n1,a1b2",
            "id|password\n--+--\n",
        ),
        *(
            ": ",
            "=",
            " = ",
            ":",
            "=>",
            '"',
            "'",
            '\\"',
            " ",
            "\n",
            "\\n",
            ",",
            ";",
            "(",
            ")",
            "[",
            "]",
            "{",
            "$",
            "<",
            "|",
            "- ",
            "  ",
        ),
        *(
            "hunter2",
            "geheim",
            "str",
            "self.x",
            "[redacted]",
            "…",
            "é",
            "İ",
            "→",
            "sk-ant-api03-0123456789",
            "12345",
        ),
    ]
)


TEXTS = st.lists(PIECES, max_size=40).map("".join)
JSON = st.recursive(
    TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PIECES, inner, max_size=4),
    max_leaves=8,
)


@given(JSON, st.booleans(), st.sampled_from([None, 1]))
def test_json_stays_json_and_is_not_redacted_again(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    for written in (text, json.dumps(text)):
        once = Redactor().text(written)
        json.loads(once)
        assert Redactor().text(once) == once
    assert Redactor().value(Redactor().value(value)) == Redactor().value(value)


@given(TEXTS)
def test_what_is_redacted_once_is_not_redacted_again(text: str) -> None:
    once = redact_shapes(text)
    assert redact_shapes(once) == once


@pytest.mark.parametrize("package", ["engine", "proxy", "tui"])
def test_the_code_of_this_program_is_not_touched(package: str) -> None:
    for file in sorted((ROOT / package).rglob("*.py")):
        text = file.read_text()
        assert redact_shapes(text) == text, file


def test_fields_that_are_named_like_a_secret_lose_their_value() -> None:
    call = {
        "db_password": "geheim", "PGPASSWORD": "x", "pin": 1234, "password": 123456, "token": "abc123",
        "githubToken": "x",
    }  # fmt: skip
    kept = {
        "token": "identifier",
        "max_tokens": "4096a1b2",
        "has_password": True,
        "secret": 0,
        "key": "a1b2c3",
    }
    gone = {name: "[redacted]" if name != "pin" else 1234 for name in call}
    assert Redactor().value(call | {"inner": kept}) == gone | {"inner": kept}


def test_lists_pairs_and_arguments_lose_their_secrets() -> None:
    fields: dict[str, Any] = {
        "passwords": ["geheim", "", "It has to be longer", "user_password"],
        "env": [
            {"name": "API_KEY", "value": "geheim"},
            {"name": "HF_TOKEN", "value": "geheim"},
            {"Value": "geheim", "Key": "DbPassword"},
            {"name": "LEVEL", "value": "debug"},
            {"name": "API_KEY", "value": "$OTHER"},
        ],
        "args": ["--api-key", "geheim", "--token", "--verbose", "run"],
    }
    assert Redactor().value(fields) == {
        "passwords": ["[redacted]", *fields["passwords"][1:]],
        "env": [
            {"name": "API_KEY", "value": "[redacted]"},
            {"name": "HF_TOKEN", "value": "[redacted]"},
            {"Value": "[redacted]", "Key": "DbPassword"},
            *fields["env"][3:],
        ],
        "args": ["--api-key", "[redacted]", "--token", "--verbose", "run"],
    }


def test_short_texts_are_looked_at_too() -> None:
    assert Redactor().text("PASSWD=x") == "PASSWD=[redacted]"
    assert Redactor().text("TOKEN=x") == "TOKEN=[redacted]"


@pytest.mark.parametrize(
    "line", ["    password=hunter2)", "    password=Sommer)", "db_password: tiger)", "PASSWORD=abc)"]
)
def test_a_bracket_behind_a_secret_makes_no_code_of_it(line: str) -> None:
    assert "[redacted]" in redact_shapes(line)
