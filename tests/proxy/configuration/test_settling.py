from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.options.setting import OF_A_BACKEND
from engine.settings import settings_from
from proxy.assembly import engine_settings, engine_timing
from proxy.configuration.backends import BACKEND_RULES
from proxy.configuration.file import FILE_NAME
from proxy.configuration.known_backends import BackendKind
from proxy.configuration.provenance import DEFAULT
from proxy.configuration.settings import ENGINE_SETTINGS
from proxy.configuration.settled import ConfigError, HostConfig
from proxy.configuration.settling import Settled, settle
from tests.proxy.configuration.test_file import EARLIER_USERS_FILE
from tests.proxy.configuration.test_model_folder import model


def settled(
    folder: Path, *, file: Any = None, environ: dict[str, str] | None = None, **options: Any
) -> Settled:
    if file is not None:
        (folder / FILE_NAME).write_text(file if isinstance(file, str) else json.dumps(file))
    return settle(options, environ=environ or {}, cwd=folder, user_home=folder)


def problems(folder: Path, **layers: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        settled(folder, **layers)
    return caught.value.problems


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    result = settled(tmp_path)
    assert result.config == HostConfig(home=tmp_path / ".anyclaude")
    assert result.config.trace
    assert result.warnings == ()
    assert set(result.sources.values()) == {DEFAULT}


def test_the_file_of_earlier_users_settles(tmp_path: Path) -> None:
    folder = model(tmp_path / "models")
    text = EARLIER_USERS_FILE.replace("/models/Qwen3-Coder-30B-A3B-Instruct-MLX-4bit", str(folder))
    result = settled(tmp_path, file=text)
    assert result.config == HostConfig(
        backend="mlx",
        backend_name="vllm-mlx",
        model=str(folder),
        engine_port=8081,
        trace=False,
        home=tmp_path / ".anyclaude",
    )
    assert [file.path for file in result.files] == [tmp_path / FILE_NAME]


def test_text_from_an_option_is_read_as_the_settings_own_type(tmp_path: Path) -> None:
    config = settled(
        tmp_path, trace="off", stall_after_s="7.5", prices='{"m": {"input": 2}}', kv_bits="8"
    ).config
    assert (config.trace, config.stall_after_s, config.kv_bits) == (False, 7.5, 8)
    assert config.prices == {"m": {"input": 2}}


@pytest.mark.parametrize(
    ("options", "is_own"),
    [
        ({"backend_name": "claude", "backend_url": "http://127.0.0.1:8082"}, True),
        ({"backend_name": "openai", "backend_url": "http://localhost:8082/v1"}, True),
        ({"backend_name": "lmstudio", "port": 1234}, True),
        ({"backend_name": "claude", "backend_url": "http://[::1]:8082", "host": "::", "token": "t"}, True),
        ({"backend_name": "claude", "backend_url": "http://[::1]:8082"}, False),
        ({"backend_name": "claude", "backend_url": "http://elsewhere:8082"}, False),
        ({"backend_name": "lmstudio", "port": 0}, False),
    ],
)
def test_the_proxy_is_not_its_own_upstream(tmp_path: Path, options: dict[str, Any], is_own: bool) -> None:
    if not is_own:
        settled(tmp_path, **options)
        return
    (problem,) = problems(tmp_path, **options)
    assert "where the proxy itself listens" in problem


def test_the_engines_key_is_no_client_token(tmp_path: Path) -> None:
    config = settled(tmp_path, file={"backends": {"mlx": {"apiKey": "secret"}}}).config
    assert b"secret" not in config.as_json()


def test_the_prompts_disk_is_limited_by_file_and_environment(tmp_path: Path) -> None:
    file = {"backends": {"mlx": {"diskCacheBytes": 0, "diskWritesPerDayBytes": 5_000_000_000}}}
    config = settled(tmp_path, file=file, environ={"ANYCLAUDE_DISK_CACHE_BYTES": "300000000000"}).config
    assert (config.disk_cache_bytes, config.disk_writes_per_day_bytes) == (300_000_000_000, 5_000_000_000)
    assert settled(tmp_path, file=file).config.disk_cache_bytes == 0
    [problem] = problems(tmp_path, file={"backends": {"mlx": {"diskCacheBytes": -1}}})
    assert "0 for off" in problem


def test_how_long_an_answer_may_repeat_itself_is_configured(tmp_path: Path) -> None:
    assert settled(tmp_path).config.loop_tokens == 2000
    file = {"backends": {"mlx": {"loopTokens": 0}}}
    assert settled(tmp_path, file=file).config.loop_tokens == 0
    assert settled(tmp_path, file=file, environ={"ANYCLAUDE_LOOP_TOKENS": "500"}).config.loop_tokens == 500
    [problem] = problems(tmp_path, file={"backends": {"mlx": {"loopTokens": 99}}})
    assert "loopTokens is 99" in problem
    assert "from 100, or 0 for off" in problem


def test_the_gpus_watchdog_is_relaxed_for_those_who_ask(tmp_path: Path) -> None:
    assert settled(tmp_path).config.relax_gpu_watchdog is False
    file = {"backends": {"mlx": {"relaxGpuWatchdog": True}}}
    assert settled(tmp_path, file=file).config.relax_gpu_watchdog is True
    environ = {"ANYCLAUDE_RELAX_GPU_WATCHDOG": "false"}
    assert settled(tmp_path, file=file, environ=environ).config.relax_gpu_watchdog is False
    [problem] = problems(tmp_path, file={"backends": {"mlx": {"relaxGpuWatchdog": 3}}})
    assert "true or false" in problem


def test_the_engines_memory_is_configured(tmp_path: Path) -> None:
    assert settled(tmp_path).config.memory_limit_bytes is None
    assert settled(tmp_path).config.wired == "weights"
    file = {"backends": {"mlx": {"memoryLimitBytes": 30_000_000_000, "wired": "off"}}}
    config = settled(tmp_path, file=file, environ={"ANYCLAUDE_MEMORY_LIMIT_BYTES": "20000000000"}).config
    assert (config.memory_limit_bytes, config.wired) == (20_000_000_000, "off")
    [problem] = problems(tmp_path, file={"backends": {"mlx": {"memoryLimitBytes": 30}}})
    assert "memoryLimitBytes is 30" in problem
    [problem] = problems(tmp_path, file={"backends": {"mlx": {"wired": "all"}}})
    assert '"weights" or "off"' in problem


def test_how_the_engine_runs_its_model_is_configured(tmp_path: Path) -> None:
    mlx = {
        "kvBits": 8,
        "draftModel": "org/small",
        "prefixCacheBytes": 5_000,
        "toolFormat": "glm",
        "grammar": False,
    }
    file = {"backends": {"mlx": mlx}}
    config = settled(tmp_path, file=file, environ={"ANYCLAUDE_DRAFT_TOKENS": "5"}).config
    assert (config.kv_bits, config.draft_model, config.draft_tokens) == (8, "org/small", 5)
    assert (config.tool_format, config.grammar) == ("glm", False)
    assert config.prefix_cache_bytes == 5_000
    [problem] = problems(tmp_path, file={"backends": {"mlx": {"kvBits": 5}}})
    assert "4 or 8" in problem


def test_every_setting_of_the_engine_reaches_it_from_the_file_and_from_the_environment(
    tmp_path: Path,
) -> None:
    said = {
        "contextTokens": 4096,
        "maxBatch": 2,
        "maxQueue": 3,
        "prefillChunk": 96,
        "stallAfterS": 7.5,
        "toolFormat": "glm",
        "thinkingFormat": "seed",
        "grammar": False,
        "kvBits": 8,
        "draftModel": "org/small",
        "draftTokens": 5,
        "loopTokens": 500,
        "prefixCacheBytes": 5,
        "memoryLimitBytes": 10**9,
        "wired": "off",
        "diskCacheBytes": 6,
        "diskWritesPerDayBytes": 7,
        "relaxGpuWatchdog": True,
        "model": "org/model",
        "adapter": "/tuned",
        "trustRemoteCode": "org/model",
    }
    from_file = settled(tmp_path, file={"backends": {"mlx": said}}).config
    environ = {
        setting.env: str(said[setting.key.removeprefix(OF_A_BACKEND)]) for setting in ENGINE_SETTINGS.values()
    }
    from_environment = settled(tmp_path, file={}, environ=environ).config
    given, warnings = settings_from(engine_settings(from_file))
    assert warnings == []
    assert (given.max_batch, given.max_queue, given.prefill_chunk, given.stall_after_s) == (2, 3, 96, 7.5)
    for name, setting in ENGINE_SETTINGS.items():
        assert getattr(given, name) == said[setting.key.removeprefix(OF_A_BACKEND)], name
        assert getattr(from_environment, name) == getattr(given, name), name


@pytest.mark.parametrize(("stall_after_s", "unresponsive_after"), [(5, 180), (60, 180), (300, 900)])
def test_the_host_is_as_patient_as_the_engine_and_never_hasty(
    tmp_path: Path, stall_after_s: float, unresponsive_after: float
) -> None:
    config = settled(tmp_path, file={"backends": {"mlx": {"stallAfterS": stall_after_s}}}).config
    timing = engine_timing(config)
    assert (timing.stalled_after, timing.unresponsive_after) == (stall_after_s, unresponsive_after)


class TestOrder:
    FILE = {"port": 1001, "debug": {"enableTraces": False}}  # noqa: RUF012 - constant

    def test_the_file_is_over_the_default(self, tmp_path: Path) -> None:
        result = settled(tmp_path, file=self.FILE)
        assert (result.config.port, result.config.trace) == (1001, False)
        assert str(result.sources["port"]) == f"{tmp_path / FILE_NAME}: port"

    def test_the_environment_is_over_the_file(self, tmp_path: Path) -> None:
        result = settled(tmp_path, file=self.FILE, environ={"ANYCLAUDE_PORT": "1002", "ANYCLAUDE_TRACE": "1"})
        assert (result.config.port, result.config.trace) == (1002, True)
        assert str(result.sources["port"]) == "ANYCLAUDE_PORT"

    def test_the_command_line_is_over_the_environment(self, tmp_path: Path) -> None:
        result = settled(tmp_path, file=self.FILE, environ={"ANYCLAUDE_PORT": "1002"}, port=1003)
        assert result.config.port == 1003
        assert str(result.sources["port"]) == "--port"

    def test_an_empty_variable_is_as_none(self, tmp_path: Path) -> None:
        assert settled(tmp_path, file=self.FILE, environ={"ANYCLAUDE_PORT": ""}).config.port == 1001

    def test_a_file_can_be_named_by_the_environment(self, tmp_path: Path) -> None:
        (tmp_path / "mine.json").write_text('{"port": 1004}')
        assert (
            settled(tmp_path, environ={"ANYCLAUDE_CONFIG": str(tmp_path / "mine.json")}).config.port == 1004
        )
        assert settled(tmp_path, environ={"ANYCLAUDE_CONFIG": "~/mine.json"}).config.port == 1004


class TestBackends:
    @pytest.mark.parametrize(
        ("name", "url"),
        [
            ("lmstudio", "http://127.0.0.1:1234/v1"),
            ("ollama", "http://127.0.0.1:11434/v1"),
            ("vllm", "http://127.0.0.1:8000/v1"),
        ],
    )
    def test_a_known_server_has_its_usual_address(self, tmp_path: Path, name: str, url: str) -> None:
        config = settled(tmp_path, backend_name=name).config
        assert (config.backend, config.backend_name, config.backend_url) == ("openai", name, url)

    def test_a_port_alone_moves_the_usual_address(self, tmp_path: Path) -> None:
        file = {"backend": "lmstudio", "backends": {"lmstudio": {"port": 5555}}}
        assert settled(tmp_path, file=file).config.backend_url == "http://127.0.0.1:5555/v1"

    def test_only_the_chosen_backends_section_counts(self, tmp_path: Path) -> None:
        file = {
            "backend": "lmstudio",
            "backends": {"lmstudio": {"model": "a"}, "ollama": {"model": "b", "apiKey": "k"}},
        }
        config = settled(tmp_path, file=file, backend_name="ollama").config
        assert (config.model, config.backend_key) == ("b", "k")

    def test_an_address_without_a_path_gets_the_usual_one(self, tmp_path: Path) -> None:
        environ = {"ANYCLAUDE_BASE_URL": "http://10.0.0.5:9000/"}
        config = settled(tmp_path, environ=environ, backend_name="openai").config
        assert config.backend_url == "http://10.0.0.5:9000/v1"

    def test_openai_needs_an_address(self, tmp_path: Path) -> None:
        (problem,) = problems(tmp_path, backend_name="openai")
        assert "backends.openai.baseUrl" in problem

    def test_openrouter_needs_a_key(self, tmp_path: Path) -> None:
        (problem,) = problems(tmp_path, backend_name="openrouter")
        assert "ANYCLAUDE_API_KEY" in problem
        config = settled(
            tmp_path, backend_name="openrouter", environ={"ANYCLAUDE_API_KEY": "k"}, model="m"
        ).config
        assert config.backend_url.startswith("https://openrouter.")

    def test_claude_is_passed_through(self, tmp_path: Path) -> None:
        file = {"backend": "claude", "backends": {"claude": {"baseUrl": "https://gateway.example/v1"}}}
        config = settled(tmp_path, file=file).config
        assert (config.backend, config.backend_url) == ("claude", "https://gateway.example")

    def test_both_names_of_the_engine_find_its_section(self, tmp_path: Path) -> None:
        file = {"backends": {"vllm-mlx": {"port": 9001}}}
        assert settled(tmp_path, file=file, backend_name="mlx").config.engine_port == 9001

    def test_the_engines_port_can_come_from_its_address(self, tmp_path: Path) -> None:
        file = {"backends": {"mlx": {"baseUrl": "http://localhost:9002/v1"}}}
        assert settled(tmp_path, file=file).config.engine_port == 9002
        assert settled(tmp_path, file=file, engine_port=9003).config.engine_port == 9003

    def test_two_ports_for_the_engine_warn(self, tmp_path: Path) -> None:
        file = {"backends": {"mlx": {"port": 9001, "baseUrl": "http://localhost:9002/v1"}}}
        result = settled(tmp_path, file=file)
        assert result.config.engine_port == 9001
        assert "9002" in result.warnings[0]

    def test_the_engine_runs_on_this_machine(self, tmp_path: Path) -> None:
        file = {"backends": {"mlx": {"baseUrl": "http://10.0.0.5:8081/v1"}}}
        (problem,) = problems(tmp_path, file=file)
        assert "10.0.0.5" in problem
        assert '"openai"' in problem

    def test_a_switched_off_backend_that_was_chosen_warns(self, tmp_path: Path) -> None:
        file = {"backend": "ollama", "backends": {"ollama": {"enabled": False}}}
        (warning,) = settled(tmp_path, file=file).warnings
        assert "backends.ollama.enabled is false" in warning


class TestProblems:
    @pytest.mark.parametrize(
        ("layers", "says"),
        [
            ({"environ": {"ANYCLAUDE_PORT": "many"}}, 'ANYCLAUDE_PORT is "many"; allowed: a whole number'),
            ({"environ": {"ANYCLAUDE_TRACE": "perhaps"}}, 'ANYCLAUDE_TRACE is "perhaps"; allowed: true or'),
            ({"backend_name": "llama"}, '--backend is "llama"; allowed: one of mlx'),
            ({"port": 70000}, "--port is 70000; allowed"),
            ({"port": 9005, "engine_port": 9005}, "port 9005 is meant for both"),
            ({"environ": {"ANYCLAUDE_HOST": "0.0.0.0"}}, "set a token"),
            ({"model": "/nowhere/at/all"}, "--model: the model folder /nowhere/at/all does not exist"),
            ({"model": "Qwen"}, '--model: "Qwen" is neither'),
            ({"config": "gone.json"}, "gone.json is not there"),
            ({"config": "/dev/null"}, "/dev/null is no regular file"),
            ({"stall_after_s": "soon"}, 'is "soon"; allowed: a number of seconds'),
        ],
    )
    def test_each_names_its_place(self, tmp_path: Path, layers: dict[str, Any], says: str) -> None:
        (problem,) = problems(tmp_path, **layers)
        assert says in problem

    def test_all_are_told_at_once(self, tmp_path: Path) -> None:
        assert len(problems(tmp_path, port=-1, backend_name="no", environ={"ANYCLAUDE_DEBUG": "x"})) == 3

    def test_the_same_free_port_twice_is_two_ports(self, tmp_path: Path) -> None:
        config = settled(tmp_path, port=0, engine_port=0).config
        assert (config.port, config.engine_port) == (0, 0)

    def test_only_a_port_that_was_named_for_the_engine_is_not_the_proxys(self, tmp_path: Path) -> None:
        config = settled(tmp_path, port=8081).config
        assert (config.port, config.engine_port) == (8081, 0)

    def test_a_token_opens_the_host_to_other_machines(self, tmp_path: Path) -> None:
        config = settled(tmp_path, file={"host": "0.0.0.0", "token": "t"}).config
        assert (config.host, config.token) == ("0.0.0.0", "t")


class TestPaths:
    def test_a_files_paths_are_meant_from_its_folder(self, tmp_path: Path) -> None:
        folder = model(tmp_path / "there" / "m")
        named = tmp_path / "there" / "c.json"
        named.write_text(json.dumps({"home": "state", "backends": {"mlx": {"model": "./m"}}}))
        config = settled(tmp_path, config=str(named)).config
        assert (config.home, config.model) == (tmp_path / "there" / "state", str(folder))

    def test_the_command_lines_paths_are_meant_from_the_working_directory(self, tmp_path: Path) -> None:
        assert settled(tmp_path, home="state").config.home == tmp_path / "state"
        assert settled(tmp_path, home="~/x").config.home == tmp_path / "x"


def test_a_misspelt_variable_warns_and_others_do_not(tmp_path: Path) -> None:
    (warning,) = settled(tmp_path, environ={"ANYCLAUDE_PROT": "1", "ANYCLAUDE_OTHER_THING": "1"}).warnings
    assert warning == "ANYCLAUDE_PROT in the environment is not known; did you mean ANYCLAUDE_PORT?"


VALUES = st.none() | st.booleans() | st.integers(-5, 70000) | st.sampled_from(["", "mlx", "x", "http://a:1"])
SECTION = st.dictionaries(
    st.sampled_from(["enabled", "port", "baseUrl", "apiKey", "model", "contextTokens", "other"]), VALUES
)
FILES = st.fixed_dictionaries(
    {},
    optional={
        "backend": st.sampled_from(["mlx", "vllm-mlx", "lmstudio", "claude", "no"]),
        "port": VALUES,
        "host": VALUES,
        "debug": st.dictionaries(st.sampled_from(["level", "enableTraces", "levle"]), VALUES),
        "backends": st.dictionaries(st.sampled_from(["mlx", "lmstudio", "claude", "oops"]), SECTION),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=FILES, port=st.none() | st.integers(-1, 65536))
def test_any_file_settles_or_says_in_lines_what_is_wrong(tmp_path: Path, file: Any, port: int | None) -> None:
    try:
        outcome: HostConfig | tuple[str, ...] = settled(tmp_path, file=file, port=port).config
    except ConfigError as error:
        outcome = error.problems
    if isinstance(outcome, HostConfig):
        assert HostConfig.from_values(json.loads(outcome.as_json())) == outcome
        assert port is None or outcome.port == port
    else:
        assert outcome
        assert all(problem and "\n" not in problem for problem in outcome)


def test_each_kind_of_backend_has_a_rule() -> None:
    assert set(BACKEND_RULES) == set(get_args(BackendKind))
