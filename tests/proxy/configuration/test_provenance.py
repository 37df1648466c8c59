"""Which key goes to which address, by where each of them stands."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from proxy.configuration.provenance import Origin, Source, may_be_sent
from proxy.configuration.settled import ConfigError
from proxy.configuration.settling import settle
from tests.proxy.configuration.test_files import Place, write
from tests.proxy.configuration.test_files import place as place
from tests.proxy.configuration.test_model_folder import model

URL = "http://gateway.example/v1"
KEY = "sk-1234"
SOURCES = ("own file", "trusted folder", "environment", "named file", "command line", "default")


class Layers:
    """One setting after another put into its source; everything is trusted that can be."""

    def __init__(self, place: Place, backend: str) -> None:
        self.place, self.backend = place, backend
        self.files: dict[str, dict[str, Any]] = {"own file": {}, "trusted folder": {}, "named file": {}}
        self.environ: dict[str, str] = {}
        self.options: dict[str, Any] = {"backend_name": backend}

    def put(self, source: str, key: str, value: str, variable: str) -> None:
        if source in self.files:
            self.files[source][key] = value
        elif source == "environment":
            self.environ[variable] = value
        elif source == "command line":
            self.options["backend_url"] = value

    def config(self) -> Any:
        place, wrapped = self.place, {}
        for source, section in self.files.items():
            wrapped[source] = {"backends": {self.backend: section}}
        if self.files["own file"]:
            place.own(wrapped["own file"])
        if self.files["trusted folder"]:
            place.shipped(wrapped["trusted folder"])
            place.trust()
        if self.files["named file"]:
            self.options["config"] = str(write(place.home / "named.json", wrapped["named file"]))
        return place.settle(self.environ, **self.options)


SENT = {(key, address) for key in SOURCES for address in ("command line", "default", key)}
# A named file replaces the other two, so that they have nothing to say.
APART = {("named file", "own file"), ("named file", "trusted folder")} | {
    ("own file", "named file"),
    ("trusted folder", "named file"),
}
PAIRS = [
    (key, address)
    for key, address in product(SOURCES, SOURCES)
    if (key, address) not in APART and key not in ("command line", "default")
]


@pytest.mark.parametrize(("key", "address"), PAIRS)
def test_a_key_goes_only_where_its_own_source_says_or_the_command_line(
    place: Place, key: str, address: str
) -> None:
    layers = Layers(place, "openai" if address != "default" else "openrouter")
    layers.put(key, "apiKey", KEY, "ANYCLAUDE_API_KEY")
    layers.put(address, "baseUrl", URL, "ANYCLAUDE_BASE_URL")
    settled = layers.config()
    if (key, address) in SENT:
        assert settled.config.backend_key == KEY
        assert "with the key from" in settled.config.destination
        assert settled.warnings == ()
    else:
        assert settled.config.backend_key == ""
        [warning] = settled.warnings
        assert f"is not sent to {URL}" in warning
        assert f"--base-url {URL}" in warning
        assert settled.config.destination.endswith(", without a key")
    assert KEY not in settled.config.destination + "".join(settled.warnings)


@pytest.mark.parametrize(("key", "address"), PAIRS)
def test_with_claude_a_key_that_must_stay_is_an_error_and_no_other_credential_takes_its_place(
    place: Place, key: str, address: str
) -> None:
    layers = Layers(place, "claude")
    layers.put(key, "apiKey", KEY, "ANYCLAUDE_API_KEY")
    layers.put(address, "baseUrl", URL, "ANYCLAUDE_BASE_URL")
    if (key, address) in SENT and address != "trusted folder":
        assert layers.config().config.backend_key == KEY
    else:
        with pytest.raises(ConfigError, match="--base-url"):
            layers.config()


@pytest.mark.parametrize("address", SOURCES)
def test_with_claude_the_clients_own_credentials_go_to_no_address_of_the_folder(
    place: Place, address: str
) -> None:
    layers = Layers(place, "claude")
    layers.put(address, "baseUrl", URL, "ANYCLAUDE_BASE_URL")
    if address == "trusted folder":
        with pytest.raises(ConfigError) as caught:
            layers.config()
        assert "the client's own credentials" in str(caught.value)
        assert "~/.anyclauderc.json" in str(caught.value)
    else:
        assert layers.config().config.destination.endswith("with the client's own credentials")


@pytest.mark.parametrize("named", [".anyclauderc.json", "conf/gateway.json"])
def test_nor_to_one_of_a_file_in_the_folder_that_was_named(place: Place, named: str) -> None:
    path = place.repository / named
    path.parent.mkdir(exist_ok=True)
    content = {"backends": {"claude": {"baseUrl": URL}}}
    write(path, content)
    (place.repository / "link").symlink_to(path.parent)
    for name in (named, str(path), f"link/{path.name}"):
        with pytest.raises(ConfigError, match="the client's own credentials"):
            place.settle(config=name, backend_name="claude")
    assert place.settle(config=named, backend_name="claude", backend_url=URL).config.backend_url
    write(path, {"backends": {"claude": {"baseUrl": URL, "apiKey": "beside"}}})
    with pytest.raises(ConfigError, match="--base-url"):
        place.settle(config=named, backend_name="claude")


def test_a_named_file_of_the_home_is_the_users_own_to_say_where(place: Place) -> None:
    write(place.home / "gateway.json", {"backends": {"claude": {"baseUrl": URL}}})
    options = {"config": "gateway.json", "backend_name": "claude"}
    settled = settle(options, environ={}, cwd=place.home, user_home=place.home)
    assert settled.config.destination.endswith("with the client's own credentials")


def test_a_key_that_stands_beside_the_address_is_taken_where_the_uppermost_may_not_go(place: Place) -> None:
    place.own({"backends": {"openai": {"baseUrl": URL, "apiKey": "beside"}}})
    settled = place.settle({"ANYCLAUDE_API_KEY": KEY}, backend_name="openai")
    assert settled.config.backend_key == "beside"
    assert "ANYCLAUDE_API_KEY is not sent" in settled.warnings[0]


def test_with_claude_too_the_key_beside_the_address_takes_the_place_of_the_clients_own(place: Place) -> None:
    place.own({"backends": {"claude": {"baseUrl": URL, "apiKey": "beside"}}})
    settled = place.settle({"ANYCLAUDE_API_KEY": KEY}, backend_name="claude")
    assert settled.config.backend_key == "beside"
    assert "ANYCLAUDE_API_KEY is not sent" in settled.warnings[0]


def test_a_port_is_a_part_of_the_address(place: Place) -> None:
    place.shipped({"backends": {"lmstudio": {"port": 5555}}})
    place.trust()
    settled = place.settle({"ANYCLAUDE_API_KEY": KEY}, backend_name="lmstudio")
    assert settled.config.backend_url == "http://127.0.0.1:5555/v1"
    assert settled.config.backend_key == ""


def test_a_folders_file_that_only_chooses_a_backend_uses_its_usual_address_with_the_users_key(
    place: Place,
) -> None:
    place.shipped({"backend": "openrouter", "backends": {"openrouter": {"model": "a/b"}}})
    place.trust()
    config = place.settle({"ANYCLAUDE_API_KEY": KEY}).config
    assert (config.backend_url, config.backend_key) == ("https://openrouter.ai/api/v1", KEY)
    assert f"chosen by {place.repository.resolve()}" in config.destination


def test_a_backend_that_needs_a_key_that_may_not_go_is_an_error_that_says_which(place: Place) -> None:
    place.own({"backends": {"openrouter": {"baseUrl": URL}}})
    with pytest.raises(ConfigError, match=r"ANYCLAUDE_API_KEY is not sent to http://gateway\.example"):
        place.settle({"ANYCLAUDE_API_KEY": KEY}, backend_name="openrouter")


def test_the_engine_on_this_machine_gets_no_key(place: Place) -> None:
    settled = place.settle({"ANYCLAUDE_API_KEY": KEY})
    assert settled.config.backend_key == ""
    assert settled.account == ("requests go to the built-in engine on this machine",)


class TestTheAccount:
    def test_it_names_the_files_and_where_requests_go_and_who_says_so(self, place: Place) -> None:
        own = place.own({"port": 9001})
        shipped = place.shipped({"backend": "openai", "backends": {"openai": {"baseUrl": URL}}})
        place.trust()
        assert place.settle().account == (
            f"configuration: {shipped} (trusted), over {own} (yours)",
            f"requests go to {URL} (from {shipped}: backends.openai.baseUrl, trusted), without a key",
        )

    def test_an_untrusted_model_is_told_with_its_file(self, place: Place) -> None:
        shipped = place.shipped({"backends": {"mlx": {"model": "org/model"}}})
        assert place.settle().account[:2] == (
            f"configuration: {shipped} (harmless keys only)",
            f"model: org/model (from {shipped}: backends.mlx.model)",
        )

    def test_a_password_in_an_address_is_not_shown(self, place: Place) -> None:
        settled = place.settle(backend_name="openai", backend_url="http://me:hunter2@gateway.example/v1")
        assert "http://***@gateway.example/v1 (from --base-url)" in settled.account[-1]
        assert "hunter2" in settled.config.backend_url


class TestModelsByName:
    """A repository can ship a folder that is called like a model of the hub."""

    def test_the_users_own_file_means_the_hub_where_the_home_has_no_such_folder(self, place: Place) -> None:
        model(place.repository / "org" / "model")
        place.own({"backends": {"mlx": {"model": "org/model", "draftModel": "org/model"}}})
        config = place.settle().config
        assert (config.model, config.draft_model) == ("org/model", "org/model")

    def test_a_variable_means_the_hub(self, place: Place) -> None:
        model(place.repository / "org" / "model")
        settled = place.settle({"ANYCLAUDE_MODEL": "org/model"})
        assert settled.config.model == "org/model"
        assert "./org/model" in settled.warnings[0]
        folder = str(place.repository / "org" / "model")
        assert place.settle({"ANYCLAUDE_MODEL": "./org/model"}).config.model == folder

    def test_the_command_line_means_the_folder_and_it_is_told(self, place: Place) -> None:
        folder = model(place.repository / "org" / "model")
        settled = place.settle(model="org/model")
        assert settled.config.model == str(folder)
        assert "--model: org/model is taken for the folder here" in settled.warnings[0]

    def test_a_draft_model_of_a_file_is_meant_from_its_folder(self, place: Place) -> None:
        folder = model(place.home / "small")
        place.own({"backends": {"mlx": {"draftModel": "./small"}}})
        assert place.settle().config.draft_model == str(folder)

    def test_an_adapter_of_a_file_is_meant_from_its_folder(self, place: Place) -> None:
        place.own({"backends": {"mlx": {"adapter": "tuned"}}})
        assert place.settle().config.adapter == str(place.home / "tuned")
        assert place.settle(adapter="tuned").config.adapter == str(place.repository / "tuned")
        with pytest.raises(ConfigError, match="a whole path"):
            place.settle({"ANYCLAUDE_ADAPTER": "tuned"})

    def test_code_runs_of_the_model_that_is_named_alone(self, place: Place) -> None:
        folder = model(place.home / "own")
        place.own({"backends": {"mlx": {"model": "./own", "trustRemoteCode": "./own"}}})
        assert place.settle().config.trust_remote_code == str(folder)
        other = place.settle(model="org/other")
        assert other.config.trust_remote_code == ""
        assert "org/other, whose own code does not run" in other.warnings[0]


@pytest.mark.parametrize("key", list(Origin))
def test_an_address_of_several_parts_must_be_right_in_each(key: Origin) -> None:
    mine, default = Source(key, "mine"), Source(Origin.DEFAULT, "default")
    folder = Source(Origin.FOLDER_FILE, "the folder's", Path("/repository"))
    assert may_be_sent(mine, [])
    assert may_be_sent(mine, [mine, default])
    assert may_be_sent(mine, [mine, folder]) == (key is Origin.FOLDER_FILE)
