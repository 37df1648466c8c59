"""Secrets that follow their name in a text, and code that only looks alike."""

from __future__ import annotations

import string
from pathlib import Path

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
        ('{"password": 123456}', '{"password": [redacted]}'),
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


@given(st.lists(PIECES, max_size=40).map("".join))
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


def test_short_texts_are_looked_at_too() -> None:
    assert Redactor().text("PASSWD=x") == "PASSWD=[redacted]"
    assert Redactor().text("TOKEN=x") == "TOKEN=[redacted]"
