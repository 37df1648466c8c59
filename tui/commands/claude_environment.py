"""The environment that points Claude Code at a host, also against the user's own settings.

Names and meanings as Claude Code 2.1.332 has them. Its settings files can hold an `env` of their own, which
wins over the process's; only settings given with `--settings` win over those, so the same values go there.
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
from tui.commands.claude_window import inherited_variables, window_notice, window_variables

NOTHING: Mapping[str, str] = MappingProxyType({})
BUNDLED_MODEL = "bundled-demo-model"
ANY_TOKEN = "anyclaude"  # the client wants one even where the host asks for none

# Other ways to a model, which would pass the host by.
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
MODEL_NAMES = (
    "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
)


@dataclass(frozen=True, slots=True)
class ClaudeEnvironment:
    """Variables to set, and variables that must not be there."""

    variables: Mapping[str, str]
    unset: tuple[str, ...] = ()
    own_account: bool = False  # the client signs in as it always does
    remark: str = ""  # what the user should know before the session

    def applied_to(self, environ: Mapping[str, str]) -> dict[str, str]:
        """A whole environment for the client."""
        kept = {name: value for name, value in environ.items() if name not in self.unset}
        return {**kept, **self.variables}

    def settings(self, *, auto_mode: bool = False) -> dict[str, Any]:
        """What `--settings` gets; an empty value is as good as none to the client.

        `auto_mode` leaves it as the client has it, also where nobody answers its check.
        """
        settings: dict[str, Any] = {"env": {**dict.fromkeys(self.unset, ""), **self.variables}}
        if not self.own_account:
            settings["apiKeyHelper"] = ""  # its key is for somebody else
            if not auto_mode:
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
) -> ClaudeEnvironment:
    """What Claude Code needs to work on the host at `url`.

    With the `claude` backend the client keeps its own account and models; it is only led through the host.
    `model` is a folder, a hub id or a model's name; `context_tokens` is its window, 0 where it is not known.
    `own` are the user's own values of the variables that tell the window (`claude_window.own_values`);
    `no_proxy` is what the user's settings have in NO_PROXY.
    """
    variables = {"ANTHROPIC_BASE_URL": url, "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1"}
    variables |= _no_proxy(url, no_proxy or environ.get("NO_PROXY") or environ.get("no_proxy") or "")
    if backend == "claude":
        stale = sorted(inherited_variables(environ) - own.keys())
        return ClaudeEnvironment(variables, (*OTHER_PROVIDERS, *stale), own_account=True)
    variables |= {
        "ANTHROPIC_AUTH_TOKEN": token or ANY_TOKEN,
        "ANTHROPIC_API_KEY": "",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    variables |= dict.fromkeys(MODEL_NAMES, model_name(model))
    tokens = context_tokens or model_window(model)
    variables |= window_variables(tokens, own)
    stale = sorted(inherited_variables(environ) - variables.keys() - own.keys())
    remark = window_notice(tokens, own, setting=f"backends.{backend_name or backend}.contextTokens")
    return ClaudeEnvironment(variables, (*OTHER_PROVIDERS, *OTHER_ACCOUNT, *stale), remark=remark)


def model_name(model: str) -> str:
    """The name that Claude Code shows: a folder's last part, else the model as it is called."""
    if not model:
        return BUNDLED_MODEL
    return Path(model).name if model.startswith("/") else model


def model_window(model: str) -> int:
    """The context window of a model in a folder of this machine, 0 for any other."""
    return context_window(Path(model)) if model.startswith("/") else 0


def _no_proxy(url: str, given: str) -> dict[str, str]:
    """A web proxy must not get what is meant for the host, whoever names one.

    Said in every session: settings files name proxies too, also one that came with the working directory.
    """
    names = [name.strip() for name in given.split(",") if name.strip()]
    here = ["127.0.0.1", "localhost", "::1", urlsplit(url).hostname or "localhost"]
    wanted = names if "*" in names else [*names, *(name for name in dict.fromkeys(here) if name not in names)]
    return {"NO_PROXY": ",".join(wanted), "no_proxy": ",".join(wanted)}
