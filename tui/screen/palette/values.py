"""What is changed by its name and value: themes, models, settings of the running host."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hits

from tui.screen.host_actions.changes import value_text
from tui.screen.palette.offers import MOST, NAMED, WITH_VALUE, Finder, behind, has_words
from tui.screen.themes import OWN_THEMES

if TYPE_CHECKING:
    from proxy.changes.change_facts import LiveSetting, LocalModel
    from tui.screen.leads.leading_app import LeadingApp

_MOST_THEMES = 12
LEAST = 3  # characters of a name, without the word that says its kind


class ThemeProvider(Finder):
    """Offers `theme anyclaude-day`."""

    async def search(self, query: str) -> Hits:
        name = behind(query, "theme", "themes", "colour", "colours", "color", "colors")
        if name is None and len(query) < LEAST:
            return
        found = [one for one in self.themes() if has_words(one.lower(), query if name is None else name)]
        for place, theme in enumerate(found[:_MOST_THEMES]):
            rank = WITH_VALUE if name else NAMED
            yield self.offer(rank, f"Theme {theme}", self.show(theme), self.about(theme), query, place=place)

    def themes(self) -> list[str]:
        """All themes, the screen's own first."""
        own = [theme.name for theme in OWN_THEMES]
        return sorted(self.app.available_themes, key=lambda one: own.index(one) if one in own else len(own))

    def about(self, theme: str) -> str:
        return "the theme that is shown" if theme == self.app.theme else "changes the colours"

    def show(self, theme: str) -> Callable[[], None]:
        return partial(setattr, self.app, "theme", theme)


class EachTheme(ThemeProvider):
    """The list of themes alone: all of them, by their names."""

    async def discover(self) -> Hits:
        for theme in self.themes():
            yield DiscoveryHit(theme, self.show(theme), help=self.about(theme))

    async def search(self, query: str) -> Hits:
        found = [one for one in self.themes() if has_words(one.lower(), query)]
        for place, theme in enumerate(found):
            yield self.offer(NAMED, theme, self.show(theme), self.about(theme), query, place=place)


class ModelProvider(Finder):
    """Offers `model Qwen`: the models of the host's machine."""

    _known: list[LocalModel] | None = None

    async def search(self, query: str) -> Hits:
        app, name = cast("LeadingApp", self.app), behind(query, "model", "load", "use")
        if (name is None and len(query) < LEAST) or getattr(app, "plays", False):
            return
        if self._known is None:  # asked once for each palette: the host looks into all stores
            try:
                self._known = (await app.find_models()).models
            except Exception:  # no host, or one without an engine
                self._known = []
        rank = NAMED if name is None else WITH_VALUE
        wanted = query if name is None else name
        found = [one for one in self._known if has_words(one.name.lower(), wanted)]
        for place, model in enumerate(found[:MOST]):
            run: Callable[[], object] = partial(app.ask_model, model)
            about = "asks first, and says what follows"
            if model.loaded or model.condition != "ready":
                is_there = model.condition == "ready"
                about = "it is loaded" if is_there else f"cannot be loaded: {model.condition}"
                run = partial(app.notify_user, f"{model.name}: {about}.")
            yield self.offer(rank, f"Model {model.name}", run, about, query, place=place)


class SettingProvider(Finder):
    """Offers `set cache.memory 8GB`: the settings of the running host, by key or meaning."""

    _known: list[LiveSetting] | None = None

    async def search(self, query: str) -> Hits:
        app, named = cast("LeadingApp", self.app), behind(query, "set", "setting", "settings")
        if (named is None and len(query) < LEAST) or getattr(app, "plays", False):
            return
        if self._known is None:
            try:
                self._known = await app.find_settings()
            except Exception:
                self._known = []
        wanted = query.strip() if named is None else named
        key, _, value = wanted.partition(" ")
        value = value.removeprefix("=").strip()
        keyed = [one for one in self._known if key.lower() in one.key.lower()]
        exact = [one for one in keyed if one.key.lower() == key.lower()]
        if named and value and (exact or len(keyed) == 1):
            setting = (exact or keyed)[0]
            about = f"takes effect: {setting.effect}; allowed: {setting.allowed}"
            run: Callable[[], object] = partial(app.ask_setting, setting, value)
            yield self.offer(WITH_VALUE, f"Set {setting.key} to {value}", run, about, query)
            return
        found = [one for one in self._known if has_words(f"{one.key} {one.meaning}".lower(), wanted)]
        rank = WITH_VALUE if named else NAMED
        for place, setting in enumerate((found if named is None else found or keyed)[:MOST]):
            about = f"now {value_text(setting, setting.value)}; {setting.meaning}"
            opens = partial(app.open_settings, setting.key)
            yield self.offer(rank, f"Set {setting.key}", opens, about, query, place=place)
