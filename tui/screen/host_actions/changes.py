"""What follows from another model or another setting, in sentences, before a person says yes."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from tui.client.figures import plural, rate, size
from tui.client.records import Snapshot
from tui.client.wire_text import line_text
from tui.screen.choices.own_command import own_command
from tui.screen.host_actions.questions import cannot_change, cannot_load
from tui.screen.keymap import key_of

if TYPE_CHECKING:
    from proxy.changes.change_facts import LiveSetting, LocalModel


def load_refusal(model: LocalModel, snapshot: Snapshot) -> str:
    """Why this model cannot be loaded; empty where it can."""
    if model.condition != "ready":
        return f"It cannot be loaded: {line_text(model.condition)}, {line_text(model.reason)}."
    if model.loaded and not _has_failed(snapshot):
        return "The engine has this model."
    return cannot_load(snapshot)


def _has_failed(snapshot: Snapshot) -> bool:
    return snapshot.engine is not None and snapshot.engine.state == "failed"


def model_consequence(model: LocalModel, snapshot: Snapshot) -> list[tuple[str, str]]:
    """What follows from loading this model: sentences with their styles, the gravest first."""
    if refusal := load_refusal(model, snapshot):
        return [(refusal, "muted" if model.loaded and model.condition == "ready" else "bad")]
    if model.loaded:
        return [("The engine was to run it and has failed: it is started again with it.", "warn")]
    lines: list[tuple[str, str]] = []
    present = snapshot.engine.context_tokens if snapshot.engine is not None else 0
    if model.served_tokens and (most := max(present, snapshot.largest_window)) > model.served_tokens:
        told = "was told" if most == present else "that began with an earlier model was told"
        lines.append(
            (
                f"Its window has {model.served_tokens:,} tokens here; Claude Code {told} {most:,}."
                f" A longer conversation is refused until a new start: {own_command('claude --continue')}",
                "warn",
            )
        )
    if not model.family:
        lines.append(("Its template shows no tool calls, which Claude Code needs (--tool-format).", "warn"))
    lines.append((f"{engine_restart(snapshot)} Prompts are computed anew: each model has its own cache.", ""))
    if model.decode_speed:
        prefill = f"prefill {rate(model.prefill_speed)}, " if model.prefill_speed else ""
        speed = f"{prefill}decode {rate(model.decode_speed)} tokens/s"
        lines.append((f"Measured here: {speed}.", "muted"))
    else:
        bench = f"{own_command('models bench')} {quote(line_text(model.name))}"
        lines.append((f"Its speed: {bench}", "muted"))
    return [*lines, ("If it does not come up, the model before is loaded again.", "muted")]


def setting_consequence(setting: LiveSetting, snapshot: Snapshot) -> str:
    """What follows from another value."""
    if refusal := cannot_change(snapshot):
        return refusal
    if setting.effect == "at once":
        return f"It counts at once, until the host ends; {key_of('settings.save')} writes it to your file."
    return (
        f"{engine_restart(snapshot)} Until the host ends; {key_of('settings.save')} writes it to your file."
    )


def save_value(file: Path, setting: LiveSetting) -> str:
    """Write its value to the user's own file, or take it out where it is the default; says which.

    Raises:
        ValueError, OSError: see `save_setting`.
    """
    from proxy.changes.own_file import save_setting  # slow to import, and rarely needed

    value = None if setting.value == setting.default else setting.value
    save_setting(file, setting.key, value)
    return f"{setting.key} is {'taken out of' if value is None else 'written to'} {file}."


def unproven_text(setting: LiveSetting) -> str:
    """That no engine came up with a value yet, or why its last change did not work; empty where it holds."""
    if setting.awaited:
        return "The engine is not up with this value yet."
    if not setting.refused:
        return ""
    return f"Its last change did not work: {line_text(setting.refused)}."


def engine_restart(snapshot: Snapshot) -> str:
    """What a restart of the engine after its requests means now."""
    active = len(snapshot.active)
    if not active:
        return "No request is running: the engine restarts at once."
    waits = f"The engine restarts after {plural(active, 'request')}"
    return f"{waits}; new ones are told to retry, as Claude Code does."


def value_text(setting: LiveSetting, value: Any) -> str:
    """A value for people; a default without a value of its own in words."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and setting.key.endswith("Bytes"):
        return size(value)
    if value == setting.default and setting.default_text:
        return line_text(setting.default_text)
    return line_text(str(value))
