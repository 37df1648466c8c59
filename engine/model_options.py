"""The options of commands that run a model as an engine would, in a process of their own."""

from __future__ import annotations

import argparse

from engine.settings import EngineSettings, settings_from

_NAMES = (
    "model",
    "adapter",
    "trust_remote_code",
    "kv_bits",
    "draft_model",
    "draft_tokens",
    "context_tokens",
    "kv_cache_dir",
)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which model runs, and how."""
    parser.add_argument("--model", default="", help="folder or hub id; default: the bundled model")
    parser.add_argument("--adapter", default="", help="folder of a LoRA adapter for the model")
    parser.add_argument("--trust-remote-code", default="", help="the model again, if its own code may run")
    parser.add_argument("--kv-bits", type=int, choices=(4, 8), help="of stored keys and values")
    parser.add_argument("--draft-model", default="", help="folder or hub id")
    parser.add_argument("--draft-tokens", type=at_least_one, default=3, help="guessed at a time")
    parser.add_argument("--context-tokens", type=int, default=0, help="the window, if it is set")
    parser.add_argument("--kv-cache-dir", default="", help="where an engine stores its chunk sizes")


def chosen_settings(chosen: argparse.Namespace) -> EngineSettings:
    """The engine's settings that these options mean.

    Raises:
        engine.settings.SettingsError: they are wrong.
    """
    return settings_from({name: getattr(chosen, name) for name in _NAMES})[0]


def at_least_one(text: str) -> int:
    """A whole number of 1 or more, as the type of an option.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, not {text}")
    return int(text)
