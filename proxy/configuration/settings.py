"""The table of settings: all that a user can set of a host, each declared once.

What goes to the engine is declared in `engine.options.run_settings` and inherited here. A setting is added by
declaring its field: files, environment, command line, `--help`, the engine's settings, the JSON Schema and
the tables in the docs follow.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from pathlib import Path

from engine.options.kinds import (
    DAYS,
    DISK,
    FLAG,
    FLAG_OR_BILLIONS,
    FOLDERS,
    KEYS,
    LEVEL,
    NAME,
    NOTIFY,
    PORT,
    PRICES,
    SECRET,
    TEXT,
    THEMES,
    URL,
    word,
)
from engine.options.run_settings import RunSettings
from engine.options.setting import OF_A_BACKEND, Setting, declared, settings_of
from proxy.configuration.known_backends import KNOWN_BACKENDS, SEARCH_ENGINES

BACKEND = word(KNOWN_BACKENDS)
AUTO_MODE = word(("off", "rules", "model"))
SEARCH_ENGINE = word(SEARCH_ENGINES, or_empty=True)
LATE_TOOLS = word(("auto", "text", "list"))


@dataclass(frozen=True, kw_only=True)
class HostSettings(RunSettings):
    """All that a user can set of a host."""

    backend_name: str = declared(
        "mlx",
        BACKEND,
        "who runs the model: mlx (the built-in engine; vllm-mlx is its old name) or another server",
        key="backend",
        env="ANYCLAUDE_BACKEND",
        option="--backend",
        metavar="NAME",
        more="running.md#another-backend",
    )
    backend_url: str = declared(
        "",
        URL,
        "address of the backend's server",
        key="backends.NAME.baseUrl",
        env="ANYCLAUDE_BASE_URL",
        option="--base-url",
        metavar="URL",
        usual="where that server usually listens",
        more="running.md#another-backend",
    )
    backend_key: str = declared(
        "",
        SECRET,
        "the server's key, which goes only to an address from the same source; not used by mlx",
        key="backends.NAME.apiKey",
        env="ANYCLAUDE_API_KEY",
        usual="none",
        more="running.md#where-keys-go",
    )
    upstream_system_turns: bool = declared(
        False,
        FLAG,
        "the upstream's template takes system messages anywhere; else they are folded into the neighbouring"
        " turn",
        key="backends.NAME.systemTurns",
        env="ANYCLAUDE_SYSTEM_TURNS",
    )
    search_engine: str = declared(
        "",
        SEARCH_ENGINE,
        "who runs web searches for the model: its queries go there",
        key="searchEngine",
        usual="none: a search is answered with an error that says so",
        more="web-tools.md",
    )
    search_url: str = declared(
        "",
        URL,
        "address of the search engine; searxng needs one",
        key="searchUrl",
        usual="the engine's own",
        more="web-tools.md",
    )
    search_key: str = declared(
        "",
        SECRET,
        "the search engine's key, which goes only to an address from the same source; needed by brave and"
        " tavily",
        key="searchKey",
        usual="none",
        more="web-tools.md",
    )
    web_fetch: bool = declared(
        False,
        FLAG,
        "the proxy fetches public web pages where a request has the server tool web_fetch",
        key="webFetch",
        more="web-tools.md",
    )
    auto_mode: str = declared(
        "off",
        AUTO_MODE,
        "who checks commands in Claude Code's auto mode, which otherwise stays off",
        key="autoMode",
        more="auto-mode.md",
    )
    auto_mode_url: str = declared(
        "",
        URL,
        "address of an OpenAI-compatible server for the checks of autoMode: the user's words and each call go"
        " there",
        key="autoModeUrl",
        usual="the session's own model",
        more="auto-mode.md",
    )
    auto_mode_model: str = declared(
        "",
        TEXT,
        "that server's model for the checks",
        key="autoModeModel",
        usual="the first that the server lists",
        more="auto-mode.md",
    )
    project_text_behind_tools: bool = declared(
        False,
        FLAG,
        "put what differs by project in Claude Code's system text behind the tools, so that a new project"
        " reuses those of another; only with mlx, where the model's chat template takes a system turn there",
        key="projectTextBehindTools",
        more="prefix-cache.md#a-new-project",
    )
    upstream_late_tools: str = declared(
        "auto",
        LATE_TOOLS,
        "where the upstream gets tools that the client loads later: as text in the conversation, which keeps"
        " its prefix cache, or in the list of tools; auto is text for vLLM, else list; not used by mlx",
        key="backends.NAME.lateTools",
        env="ANYCLAUDE_LATE_TOOLS",
        more="tool-calls.md#tools-that-come-later",
    )
    host: str = declared(
        "127.0.0.1",
        NAME,
        "address that the proxy listens on; anything but this machine needs a token",
        key="host",
    )
    port: int = declared(8082, PORT, "port of the proxy", key="port", option="--port", metavar="PORT")
    engine_port: int = declared(
        0,
        PORT,
        "port of the engine, which Health shows; name one for OpenAI clients",
        key="enginePort",
        option="--engine-port",
        metavar="PORT",
        usual="any free one",
    )
    token: str = declared("", SECRET, "what clients must send", key="token", usual="none")
    home: Path = declared(
        MISSING,
        NAME,
        "the folder for data",
        key="home",
        option="--home",
        metavar="DIR",
        usual="~/.anyclaude",
        more="../README.md#where-data-lives",
    )
    trace: bool = declared(True, FLAG, "keep traces", key="debug.enableTraces", harmless=True, live=True)
    trace_max_bytes: int = declared(
        10_000_000_000,
        DISK,
        "disk for traces; above it the oldest are removed, marked ones never; 0: no limit",
        key="traceMaxBytes",
    )
    trace_max_days: int = declared(
        30,
        DAYS,
        "age in days at which a trace is removed, marked ones never; 0: no limit",
        key="traceMaxDays",
    )
    prices: dict[str, dict[str, float]] = declared(
        {},
        PRICES,
        "what a million tokens cost elsewhere, for anyclaude-tui metrics and traces analyze",
        key="prices",
        usual="none",
    )
    model_folders: tuple[str, ...] = declared(
        (),
        FOLDERS,
        "folders in which anyclaude-tui models looks for models, beside the stores of Hugging Face and LM"
        " Studio",
        key="modelFolders",
        usual="none",
        more="models-command.md",
    )
    keep_awake: bool = declared(
        True,
        FLAG,
        "keep the machine from falling asleep while requests run, with caffeinate or systemd-inhibit",
        key="keepAwake",
        more="living-with-it.md#the-machine-stays-awake",
        live=True,
    )
    status_line: bool = declared(
        False,
        FLAG,
        "show model, tokens/s, context and hit rate in Claude Code's status line, in place of your own line",
        key="statusLine",
        more="living-with-it.md#in-claude-codes-status-line",
    )
    theme: str = declared(
        "",
        TEXT,
        "colours of the screen, by name: those that it has are listed on ctrl+t",
        key="theme",
        usual="the one chosen last, else one that fits the terminal's background",
        more="control-center.md#colours",
    )
    themes: dict[str, dict[str, str]] = declared(
        {},
        THEMES,
        "your own colours for the screen: what differs from the theme that is the base",
        key="themes",
        usual="none",
        more="control-center.md#colours",
    )
    keys: dict[str, str] = declared(
        {},
        KEYS,
        "your own keys for the screen's commands; anyclaude-tui config keys lists all",
        key="keys",
        usual="none",
        more="control-center.md#your-own-keys",
    )
    notify: str = declared(
        "off",
        NOTIFY,
        "how the screen calls you when something needs a person: the terminal's bell, a notification by the"
        " terminal, or one by macOS (elsewhere by the terminal)",
        key="notify",
        more="control-center.md#notifications",
    )
    prompt_diet: bool | float = declared(
        False,
        FLAG_OR_BILLIONS,
        "make Claude Code's first prompt a third shorter, without its own skills, workflows and memory, for"
        " all models or for small ones",
        key="backends.NAME.promptDiet",
        more="running.md#a-shorter-first-prompt",
    )
    debug_level: int = declared(
        0, LEVEL, "how much the logs say", key="debug.level", env="ANYCLAUDE_DEBUG", harmless=True, live=True
    )
    stream_logging: bool = declared(
        False, FLAG, "log each piece of a stream", key="debug.enableStreamLogging", harmless=True, live=True
    )


ENGINE_SETTINGS = settings_of(RunSettings)
HOST_SETTINGS = {
    name: setting for name, setting in settings_of(HostSettings).items() if name not in ENGINE_SETTINGS
}
SETTINGS: dict[str, Setting] = HOST_SETTINGS | ENGINE_SETTINGS

# Chosen before the files are read, so that no file can name it.
CONFIG_FILE = Setting(
    NAME,
    "configuration file, used instead of ~/.anyclauderc.json and the working directory's .anyclauderc.json",
    env="ANYCLAUDE_CONFIG",
    option="--config",
    metavar="FILE",
    more="running.md#configuration",
)
# Keys of the file that are no setting by themselves.
FILE_ONLY = (
    Setting(TEXT, "where the JSON Schema of this file is, for editors", key="$schema", inert=True),
    Setting(
        PORT,
        "short for a baseUrl on this machine; the engine's port in mlx",
        key="backends.NAME.port",
    ),
    Setting(
        FLAG,
        "from earlier versions: false for the backend that is used is a warning",
        key="backends.NAME.enabled",
        inert=True,
    ),
    Setting(TEXT, "from earlier versions: not used", key="backends.NAME.serverScript", inert=True),
)
# Read by commands, and to find the file.
OTHER_VARIABLES = (CONFIG_FILE.env, "ANYCLAUDE_CLAUDE")

FILE_KEYS: dict[str, Setting] = {setting.key: setting for setting in (*SETTINGS.values(), *FILE_ONLY)}
SECTIONS = ("debug", "backends")


def keys_of(section: str) -> dict[str, Setting]:
    """The keys of one part of the file, without `section`, which is "", "debug." or `OF_A_BACKEND`."""
    keys = {key: setting for key, setting in FILE_KEYS.items() if key.startswith(section)}
    return {
        key.removeprefix(section): setting
        for key, setting in keys.items()
        if "." not in key.removeprefix(section)
    }


def setting_at(key: str) -> Setting | None:
    """The setting that stands under this dotted key of a file, such as `backends.mlx.model`."""
    parts = key.split(".")
    if len(parts) == 3 and parts[0] == "backends":
        return FILE_KEYS.get(OF_A_BACKEND + parts[2])
    return FILE_KEYS.get(key)
