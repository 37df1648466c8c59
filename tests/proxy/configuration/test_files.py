"""The layers of files, and what counts of a file that came with the working directory."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proxy.configuration.file import FILE_NAME
from proxy.configuration.files import trust_list
from proxy.configuration.provenance import Origin
from proxy.configuration.settled import ConfigError
from proxy.configuration.settling import Settled, settle
from proxy.configuration.trust import place_of
from tests.proxy.configuration.test_file import EARLIER_USERS_FILE
from tests.proxy.configuration.test_model_folder import model


@dataclass
class Place:
    """A user's home, and a repository that was cloned beside it."""

    home: Path
    repository: Path

    def own(self, content: Any) -> Path:
        return write(self.home / FILE_NAME, content)

    def shipped(self, content: Any) -> Path:
        return write(self.repository / FILE_NAME, content)

    def trust(self, *, trusted: bool = True) -> None:
        path = self.repository / FILE_NAME
        trust_list(self.home).remember(place_of(path), path.read_bytes(), trusted=trusted)

    def settle(self, environ: dict[str, str] | None = None, ask: Any = None, **options: Any) -> Settled:
        return settle(options, environ=environ or {}, cwd=self.repository, user_home=self.home, ask=ask)


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for name in ("home", "repository"):
        (tmp_path / name).mkdir()
    return Place(tmp_path / "home", tmp_path / "repository")


def untrusted_line(settled: Settled) -> str:
    [line] = [warning for warning in settled.warnings if "is not trusted" in warning]
    return line


class TestLayers:
    def test_both_files_count_key_by_key_the_working_directorys_over_the_users(self, place: Place) -> None:
        place.own(
            {
                "port": 9001,
                "debug": {"level": 1, "enableTraces": False},
                "backends": {"mlx": {"contextTokens": 8192, "kvBits": 8}},
            }
        )
        place.shipped({"debug": {"level": 2}, "backends": {"mlx": {"contextTokens": 16384}}})
        settled = place.settle()
        config = settled.config
        assert (config.port, config.debug_level, config.trace) == (9001, 2, False)
        assert (config.context_tokens, config.kv_bits) == (16384, 8)
        assert settled.sources["context_tokens"].origin is Origin.FOLDER_FILE
        assert settled.sources["kv_bits"].origin is Origin.OWN_FILE
        assert settled.warnings == ()

    def test_each_file_may_call_the_engine_by_another_name(self, place: Place) -> None:
        place.own({"backend": "vllm-mlx", "backends": {"vllm-mlx": {"port": 9002, "kvBits": 8}}})
        place.shipped({"backends": {"mlx": {"contextTokens": 4096}}})
        config = place.settle().config
        assert (config.engine_port, config.kv_bits, config.context_tokens) == (9002, 8, 4096)

    @pytest.mark.parametrize("by", ["--config", "ANYCLAUDE_CONFIG"])
    def test_a_named_file_counts_whole_and_alone(self, place: Place, by: str) -> None:
        place.own({"port": 9001})
        place.shipped({"debug": {"level": 2}})
        path = place.repository / "named.json"
        write(path, {"host": "127.0.0.2"})
        environ = {by: str(path)} if by == "ANYCLAUDE_CONFIG" else {}
        settled = place.settle(environ, config=None if environ else "named.json")
        assert (settled.config.host, settled.config.port, settled.config.debug_level) == (
            "127.0.0.2",
            8082,
            0,
        )
        assert settled.warnings == ()

    @pytest.mark.parametrize("path", [FILE_NAME, "./named.json", "../repository/named.json"])
    @pytest.mark.parametrize("name", ["ANYCLAUDE_CONFIG", "ANYCLAUDE_HOME"])
    def test_a_variable_for_all_folders_names_no_path_of_this_one(
        self, place: Place, name: str, path: str
    ) -> None:
        place.shipped({"port": 9002})
        with pytest.raises(ConfigError, match=f"{name} is .*: a whole path"):
            place.settle({name: path})

    def test_in_the_home_there_is_one_file_and_it_is_the_users_own(self, place: Place) -> None:
        place.own({"port": 9001})
        settled = settle({}, environ={}, cwd=place.home, user_home=place.home)
        assert settled.config.port == 9001
        assert len(settled.files) == 1

    def test_the_home_by_another_path_is_the_home(self, place: Place, tmp_path: Path) -> None:
        place.own({"port": 9001})
        (tmp_path / "way").symlink_to(place.home)
        for cwd, home in ((tmp_path / "way", place.home), (place.home, tmp_path / "way")):
            settled = settle({}, environ={}, cwd=cwd, user_home=home)
            assert (settled.config.port, len(settled.files)) == (9001, 1)

    @pytest.mark.parametrize("lead", [os.symlink, os.link], ids=["symbolic link", "hard link"])
    def test_the_users_own_file_by_another_path_is_the_users_own(
        self, place: Place, lead: Callable[[Path, Path], None]
    ) -> None:
        lead(place.own({"port": 9001}), place.repository / FILE_NAME)
        settled = place.settle()
        assert (settled.config.port, settled.warnings) == (9001, ())
        assert [file.origin for file in settled.files] == [Origin.OWN_FILE]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
class TestAFolderWhoseNameIsNoText:
    @pytest.fixture
    def odd(self, place: Place) -> Place:
        odd = Place(place.home, place.home / "a\udcff\x1b[31m")
        odd.repository.mkdir()
        return odd

    def test_its_file_can_say_where_requests_go(self, odd: Place) -> None:
        odd.shipped({"backend": "openai", "backends": {"openai": {"baseUrl": "http://127.0.0.1:9/v1"}}})
        odd.trust()
        settled = odd.settle()
        assert settled.config.as_json()  # as the host's process gets it
        assert settled.config.destination.isprintable()

    def test_what_is_kept_there_is_refused_in_words(self, odd: Place) -> None:
        odd.shipped({"home": "state"})
        odd.trust()
        with pytest.raises(ConfigError, match=r"home: .* is no UTF-8 text"):
            odd.settle()


class TestTrusted:
    def test_it_counts_whole_over_the_users_own(self, place: Place) -> None:
        place.own({"port": 9001, "enginePort": 9003})
        place.shipped({"port": 9002, "home": "state"})
        place.trust()
        settled = place.settle()
        config = settled.config
        assert (config.port, config.engine_port, config.home) == (9002, 9003, place.repository / "state")
        assert settled.sources["port"].described.endswith("port, trusted")
        assert settled.warnings == ()

    def test_a_changed_file_is_not_trusted_any_more_and_the_old_content_is(self, place: Place) -> None:
        place.shipped({"port": 9002})
        place.trust()
        place.shipped({"port": 9004})
        assert place.settle().config.port == 8082
        place.shipped({"port": 9002})
        assert place.settle().config.port == 9002

    def test_the_same_file_in_another_clone_is_not_trusted(self, place: Place, tmp_path: Path) -> None:
        place.shipped({"port": 9002})
        place.trust()
        (other := tmp_path / "other").mkdir()
        write(other / FILE_NAME, {"port": 9002})
        assert settle({}, environ={}, cwd=other, user_home=place.home).config.port == 8082

    def test_a_link_to_a_trusted_file_is_not_trusted(self, place: Place, tmp_path: Path) -> None:
        path = place.shipped({"port": 9002, "home": "state"})
        place.trust()
        (other := tmp_path / "other").mkdir()
        (other / FILE_NAME).symlink_to(path)
        assert settle({}, environ={}, cwd=other, user_home=place.home).config.port == 8082

    def test_its_home_does_not_say_where_trust_is_looked_up(self, place: Place) -> None:
        content = {"home": str(place.repository / ".anyclaude"), "port": 9002}
        path = place.shipped(content)
        trust_list(place.repository).remember(place_of(path), path.read_bytes(), trusted=True)
        assert place.settle().config.port == 8082
        own_state = {"ANYCLAUDE_HOME": str(place.repository / ".anyclaude")}
        assert place.settle(own_state).config.port == 8082
        assert place.settle(home=".anyclaude").config.port == 8082

    def test_a_damaged_memory_trusts_nothing_and_is_told(self, place: Place) -> None:
        place.shipped({"port": 9002})
        place.trust()
        for path in trust_list(place.home).folder.iterdir():
            path.write_text("{")
        settled = place.settle()
        assert settled.config.port == 8082
        assert any("nothing is trusted by it" in warning for warning in settled.warnings)

    def test_the_file_of_earlier_users_counts_once_it_is_trusted(self, place: Place, tmp_path: Path) -> None:
        folder = model(tmp_path / "models")
        place.shipped(
            EARLIER_USERS_FILE.replace("/models/Qwen3-Coder-30B-A3B-Instruct-MLX-4bit", str(folder))
        )
        settled = place.settle()
        assert (settled.config.model, settled.config.trace) == ("", False)
        assert settled.config.backend_name == "mlx"
        section = "backends.vllm-mlx"
        wanted = f"backend, {section}.port, {section}.baseUrl, {section}.apiKey, {section}.model;"
        assert wanted in untrusted_line(settled)
        place.trust()
        config = place.settle().config
        assert (config.model, config.backend_name, config.engine_port) == (str(folder), "vllm-mlx", 8081)

    def test_the_file_of_earlier_users_counts_at_once_as_the_users_own(
        self, place: Place, tmp_path: Path
    ) -> None:
        folder = model(tmp_path / "models")
        place.own(EARLIER_USERS_FILE.replace("/models/Qwen3-Coder-30B-A3B-Instruct-MLX-4bit", str(folder)))
        assert place.settle().config.model == str(folder)


class TestWhatStandsInItsPlace:
    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
    def test_what_is_no_file_is_passed_over_and_told(
        self, place: Place, make: Callable[[Path], None]
    ) -> None:
        place.own({"port": 9001})
        make(place.repository / FILE_NAME)
        settled = place.settle()
        assert settled.config.port == 9001
        assert "passed over" in settled.warnings[0]

    def test_a_link_to_a_device_is_passed_over(self, place: Place) -> None:
        (place.repository / FILE_NAME).symlink_to("/dev/zero")
        assert "passed over" in place.settle().warnings[0]

    def test_a_link_to_nothing_is_nothing(self, place: Place) -> None:
        (place.repository / FILE_NAME).symlink_to("gone")
        assert place.settle().warnings == ()

    def test_a_huge_file_is_an_error(self, place: Place) -> None:
        with (place.repository / FILE_NAME).open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(ConfigError, match="more than 1024 KiB"):
            place.settle()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_an_unreadable_file_is_an_error(self, place: Place) -> None:
        place.shipped({}).chmod(0)
        with pytest.raises(ConfigError, match="cannot be read"):
            place.settle()

    @pytest.mark.parametrize("text", ["machine x password hunter2\n", '"hunter2"'])
    def test_the_text_of_a_file_that_a_link_leads_to_is_not_shown(self, place: Place, text: str) -> None:
        (place.repository / FILE_NAME).symlink_to(write(place.home / ".netrc", text))
        with pytest.raises(ConfigError) as caught:
            place.settle()
        assert "hunter2" not in str(caught.value)
