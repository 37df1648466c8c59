"""What the screens ask the app to change on the host: messages, apart from the screens, which load late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from proxy.changes.change_facts import LiveSetting


class ModelWanted(Message):
    """A person wants this model to be loaded."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model = model


class SettingsWanted(Message):
    """A person wants these values, by key; None takes one back."""

    def __init__(self, changes: dict[str, Any]) -> None:
        super().__init__()
        self.changes = changes


class SettingSaveWanted(Message):
    """A person wants this value in their own file."""

    def __init__(self, setting: LiveSetting) -> None:
        super().__init__()
        self.setting = setting
