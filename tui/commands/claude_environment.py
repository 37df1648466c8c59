"""The environment that points Claude Code at a host, whatever the user's own settings say.

Names and meanings of Claude Code 2.1.332. Its settings files can have an `env`, which takes precedence over
the process's environment; only settings of `--settings` take precedence over those, so they get the same
values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from proxy.configuration.known_backends import BackendKind
from proxy.configuration.model_folder import context_window
from tui.commands.auto_mode import OFF as AUTO_MODE_OFF
from tui.commands.claude_variables import FIXED, MODEL_NAMES
from tui.commands.claude_window import inherited_variables, window_notice, window_variables

NOTHING: Mapping[str, str] = MappingProxyType({})
BUNDLED_MODEL = "bundled-demo-model"
ANY_TOKEN = "anyclaude"  # the client needs one even if the host requires none

# Other providers, which would bypass the host.
OTHER_PROVIDERS = (
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_GATEWAY",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
)
# Another account, and models of other names.
OTHER_ACCOUNT = ("CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_SMALL_FAST_MODEL")


@dataclass(frozen=True, slots=True)
class ClaudeEnvironment:
    """Variables to set, and variables to unset."""

    variables: Mapping[str, str]
    unset: tuple[str, ...] = ()
    own_account: bool = False  # the client uses its own account
    remark: str = ""  # a notice for the user before the session
    checks_calls: bool = False  # the host answers auto mode

    def applied_to(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The complete environment for the client."""
        kept = {name: value for name, value in environ.items() if name not in self.unset}
        return {**kept, **self.variables}

    def settings(self, *, auto_mode: bool = False) -> dict[str, Any]:
        """The settings for `--settings`; the client treats an empty value as unset.

        `auto_mode`: do not switch auto mode off.
        """
        settings: dict[str, Any] = {"env": {**dict.fromkeys(self.unset, ""), **self.variables}}
        if not self.own_account:
            settings["apiKeyHelper"] = ""  # its key is for another server
            settings["skipWebFetchPreflight"] = True  # else Anthropic is asked about each host of WebFetch
            if not (auto_mode or self.checks_calls):
                settings |= AUTO_MODE_OFF
        return settings


def claude_environment(
    url: str,
    *,
    token: str,
    backend: BackendKind,
    backend_name: str = "",
    model: str,
    context_tokens: int = 0,
    environ: Mapping[str, str],
    own: Mapping[str, str] = NOTHING,
    no_proxy: str = "",
    diet: bool = False,
) -> ClaudeEnvironment:
    """The environment in which Claude Code uses the host at `url`.

    With the `claude` backend the client keeps its own account and models, and only its requests go through
    the host. `model` is a folder, a hub id or a model's name; `context_tokens` is its window, 0 if unknown.
    `own` has the user's values of variables that yield to them (`claude_window.own_values`), `no_proxy` the
    user's NO_PROXY. With `diet` the first prompt is shorter.
    """
    variables = {"ANTHROPIC_BASE_URL": url}
    variables |= {
        one.name: one.value
        for one in FIXED
        if one.name not in own and (one.is_passed_through or backend != "claude")
    }
    variables |= _no_proxy(url, no_proxy or environ.get("NO_PROXY") or environ.get("no_proxy") or "")
    if backend == "claude":
        stale = sorted(inherited_variables(environ) - own.keys())
        return ClaudeEnvironment(variables, (*OTHER_PROVIDERS, *stale), own_account=True)
    variables["ANTHROPIC_AUTH_TOKEN"] = token or ANY_TOKEN
    name = model_name(model) if model or backend == "mlx" else backend_name or backend
    variables |= dict.fromkeys(MODEL_NAMES, name)
    tokens = context_tokens or model_window(model)
    variables |= window_variables(tokens, own, diet=diet)
    stale = sorted(inherited_variables(environ) - variables.keys() - own.keys())
    remark = window_notice(tokens, own, setting=f"backends.{backend_name or backend}.contextTokens")
    return ClaudeEnvironment(variables, (*OTHER_PROVIDERS, *OTHER_ACCOUNT, *stale), remark=remark)


def model_name(model: str) -> str:
    """The model's name for Claude Code: the last part of a folder, else the name itself."""
    if not model:
        return BUNDLED_MODEL
    return Path(model).name if model.startswith("/") else model


def model_window(model: str) -> int:
    """The context window of a model in a local folder, else 0."""
    return context_window(Path(model)) if model.startswith("/") else 0


def _no_proxy(url: str, given: str) -> dict[str, str]:
    """Variables that exclude the host from web proxies.

    They are set in each session, because settings files can name proxies too, also one of the working
    directory.
    """
    names = [name.strip() for name in given.split(",") if name.strip()]
    here = ["127.0.0.1", "localhost", "::1", urlsplit(url).hostname or "localhost"]
    wanted = names if "*" in names else [*names, *(name for name in dict.fromkeys(here) if name not in names)]
    return {"NO_PROXY": ",".join(wanted), "no_proxy": ",".join(wanted)}
