"""What tokens would have cost elsewhere, by the price table of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

PER = 1_000_000  # tokens that a price is for
KINDS = ("input", "cacheWrite", "cacheRead", "output")


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of a million tokens of each kind, in whatever currency the table is in."""

    input: float = 0.0
    cache_write: float = 0.0
    cache_read: float = 0.0
    output: float = 0.0

    @classmethod
    def of(cls, row: Mapping[str, float]) -> Price:
        """Of a row of the table; a cache price that is not named is that of input."""
        base = row.get("input", 0.0)
        return cls(base, row.get("cacheWrite", base), row.get("cacheRead", base), row.get("output", 0.0))

    def cost(self, input: int, created: int, read: int, output: int) -> float:
        """What these tokens cost."""
        return (
            self.input * input + self.cache_write * created + self.cache_read * read + self.output * output
        ) / PER


class PriceTable:
    """Prices by the names of models, in which `*` stands for any letters: `claude-sonnet-*`."""

    def __init__(self, rows: Mapping[str, Mapping[str, float]]) -> None:
        self._rows = {name.lower(): Price.of(row) for name, row in rows.items()}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def price(self, *models: str) -> Price | None:
        """The price of the first of these names that is in the table; the longest pattern counts."""
        for model in models:
            found = [name for name in self._rows if fnmatchcase(model.lower(), name)]
            if model and found:
                return self._rows[max(found, key=lambda name: (name == model.lower(), len(name)))]
        return None


def money(cost: float) -> str:
    """A cost for people; small ones with more digits."""
    return f"{cost:,.2f}" if cost >= 0.995 or not cost else f"{cost:.4f}"
