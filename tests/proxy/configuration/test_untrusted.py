"""What counts of a file that came with the working directory, before the user is asked, and the asking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from proxy.configuration.file import ConfigFile
from proxy.configuration.files import trust_list
from proxy.configuration.settings import FILE_KEYS
from proxy.configuration.settled import ConfigError
from tests.proxy.configuration.test_files import Place, untrusted_line
from tests.proxy.configuration.test_files import place as place
from tests.proxy.configuration.test_model_folder import model

HARMLESS: dict[str, Any] = {
    "debug.level": 2,
    "debug.enableTraces": False,
    "debug.enableStreamLogging": True,
    "backends.lmstudio.model": "qwen/qwen3-coder:30b",
    "backends.lmstudio.toolFormat": "glm",
    "backends.lmstudio.thinkingFormat": "seed",
    "backends.lmstudio.contextTokens": 4096,
    "backends.lmstudio.grammar": False,
    "backends.lmstudio.draftTokens": 5,
    "backends.lmstudio.kvBits": 8,
}
# Accepted for editors' and earlier users' sake, without an effect.
INERT = {"$schema", "backends.lmstudio.enabled", "backends.lmstudio.serverScript"}
HARMFUL: dict[str, Any] = {
    "backend": "openrouter",
    "port": 9,
    "enginePort": 9,
    "host": "0.0.0.0",
    "home": "state",
    "token": "t",
    "traceMaxBytes": 1,
    "traceMaxDays": 1,
    "modelFolders": ["/x"],
    "prices": {"*": {"input": 1}},
    "keepAwake": False,
    "autoMode": "rules",
    "autoModeUrl": "http://evil.example/v1",
    "autoModeModel": "m",
    "projectTextBehindTools": True,
    "searchEngine": "tavily",
    "searchUrl": "http://evil.example",
    "searchKey": "k",
    "webFetch": True,
    "statusLine": True,
    "theme": "anyclaude-day",
    "themes": {"mine": {"background": "#000000"}},
    "keys": {"why": "f2"},
    "notify": "bell",
    "backends.lmstudio.promptDiet": True,
    "backends.lmstudio.port": 9,
    "backends.lmstudio.baseUrl": "http://evil.example/v1",
    "backends.lmstudio.apiKey": "k",
    "backends.lmstudio.systemTurns": True,
    "backends.lmstudio.lateTools": "text",
    "backends.lmstudio.prefixCacheBytes": 5,
    "backends.lmstudio.adapter": "adapter",
    "backends.lmstudio.trustRemoteCode": "org/model",
    "backends.lmstudio.draftModel": "org/small",
    "backends.lmstudio.diskCacheBytes": 5,
    "backends.lmstudio.diskWritesPerDayBytes": 5,
    "backends.lmstudio.loopTokens": 500,
    "backends.lmstudio.relaxGpuWatchdog": True,
    "backends.lmstudio.memoryLimitBytes": 5_000_000_000,
    "backends.lmstudio.wired": "off",
    "backends.lmstudio.maxBatch": 1,
    "backends.lmstudio.maxQueue": 1,
    "backends.lmstudio.prefillChunk": 1,
    "backends.lmstudio.stallAfterS": 1,
}


def nested(key: str, value: Any) -> dict[str, Any]:
    document: Any = value
    for part in reversed(key.split(".")):
        document = {part: document}
    return {**document}


class TestBeforeTrust:
    """`lmstudio` is the user's backend, chosen in their own file."""

    @pytest.fixture(autouse=True)
    def own_backend(self, place: Place) -> None:
        place.own({"backend": "lmstudio"})

    def test_the_tables_here_name_every_key_that_there_is(self) -> None:
        keys = {key.replace("NAME", "lmstudio") for key in FILE_KEYS}
        assert keys == {*HARMLESS, *HARMFUL, *INERT}

    @pytest.mark.parametrize(("key", "value"), HARMLESS.items())
    def test_what_is_harmless_counts_without_a_word(self, place: Place, key: str, value: Any) -> None:
        without = place.settle().config
        place.shipped(nested(key, value))
        settled = place.settle()
        assert settled.config != without
        assert settled.warnings == ()

    @pytest.mark.parametrize(("key", "value"), HARMFUL.items())
    def test_nothing_else_counts_and_it_is_named_with_how_to_trust(
        self, place: Place, key: str, value: Any
    ) -> None:
        without = place.settle().config
        path = place.shipped(nested(key, value))
        settled = place.settle()
        assert settled.config == without
        line = untrusted_line(settled)
        assert str(path) in line
        assert f"not obeyed: {key};" in line
        assert "anyclaude-tui config trust" in line

    @pytest.mark.parametrize(
        "text",
        [
            "/models/evil",
            "~/evil",
            "./evil",
            "../evil",
            ".evil",
            "org/../../evil",
            "a//b",
            "org\\evil",
            "",
            " /x",
        ],
    )
    def test_a_model_that_could_be_a_path_does_not_count(self, place: Place, text: str) -> None:
        place.shipped({"backends": {"lmstudio": {"model": text}}})
        settled = place.settle()
        assert settled.config.model == ""
        assert "backends.lmstudio.model" in untrusted_line(settled)

    @pytest.mark.parametrize("name", ["evil", "org/evil"])
    def test_a_model_whose_name_is_a_folder_of_the_repository_does_not_count(
        self, place: Place, name: str
    ) -> None:
        model(place.repository / name)
        place.shipped({"backends": {"lmstudio": {"model": name}}})
        assert place.settle().config.model == ""

    def test_another_backends_keys_do_not_count_either(self, place: Place) -> None:
        place.shipped({"backends": {"mlx": {"model": "org/model"}}})
        assert place.settle().config.model == ""

    def test_a_wrong_value_of_what_does_not_count_stops_nobody(self, place: Place) -> None:
        place.shipped({"port": "many", "backends": {"lmstudio": {"baseUrl": 7}}})
        line = untrusted_line(place.settle())
        assert "port, backends.lmstudio.baseUrl" in line

    def test_a_wrong_value_of_what_counts_is_an_error(self, place: Place) -> None:
        place.shipped({"debug": {"level": 9}})
        with pytest.raises(ConfigError, match=r"debug\.level is 9"):
            place.settle()

    def test_many_unknown_keys_and_control_characters_do_not_paint_the_terminal(self, place: Place) -> None:
        place.shipped({f"\x1b[2Jkey\n{number}": 1 for number in range(500)})
        warnings = place.settle().warnings
        assert len(warnings) < 10
        assert all(warning.isprintable() for warning in warnings)

    def test_what_was_not_obeyed_is_told_also_when_something_is_wrong(self, place: Place) -> None:
        place.shipped({"backends": {"openrouter": {"apiKey": "k"}}})
        with pytest.raises(ConfigError) as caught:
            place.settle(backend_name="openrouter")
        assert "is not trusted" in caught.value.warnings[0]


class TestAsking:
    def test_the_answer_is_remembered_for_that_content(self, place: Place) -> None:
        asked: list[tuple[str, ...]] = []

        def ask(answer: bool) -> Callable[[ConfigFile, tuple[str, ...]], bool]:
            return lambda file, keys: (asked.append(keys), answer)[1]

        place.shipped({"port": 9002, "debug": {"level": 1}})
        assert place.settle(ask=ask(False)).config.port == 8082
        settled = place.settle(ask=ask(True))
        assert (settled.config.port, len(asked)) == (8082, 1)
        assert "is not trusted" in settled.warnings[0]
        place.shipped({"port": 9003})
        assert place.settle(ask=ask(True)).config.port == 9003
        assert place.settle().config.port == 9003
        assert asked == [("port",), ("port",)]

    def test_no_answer_is_no_trust_and_is_not_remembered(self, place: Place) -> None:
        place.shipped({"port": 9002})
        for _ in range(2):
            assert place.settle(ask=lambda file, keys: None).config.port == 8082
        assert trust_list(place.home).decisions() == []

    @pytest.mark.parametrize("content", [{"debug": {"level": 1}}, {}, {"port": "many"}])
    def test_nothing_is_asked_where_there_is_nothing_to_obey(self, place: Place, content: Any) -> None:
        def ask(file: ConfigFile, keys: tuple[str, ...]) -> bool:
            raise AssertionError(keys)

        place.shipped(content)
        place.settle(ask=ask)

    def test_what_is_trusted_are_the_bytes_that_were_shown(self, place: Place) -> None:
        def ask(file: ConfigFile, keys: tuple[str, ...]) -> bool:
            place.shipped({"port": 6666})  # while the user reads
            return True

        place.shipped({"port": 9002})
        assert place.settle(ask=ask).config.port == 9002
        assert place.settle().config.port == 8082

    def test_an_answer_that_cannot_be_kept_counts_now_and_is_told(self, place: Place) -> None:
        (place.home / ".anyclaude").write_text("in the way")
        place.shipped({"port": 9002})
        settled = place.settle(ask=lambda file, keys: True)
        assert settled.config.port == 9002
        assert "for this time only" in settled.warnings[0]
