"""The words that made-up entries are put together from; see `words.toml`."""

import random
import tomllib
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

_FILE = Path(__file__).with_suffix(".toml")
_LISTS = tomllib.loads(_FILE.read_text(encoding="utf-8"))

TOPICS: list[str] = _LISTS["topics"].split()
PLACES: list[str] = _LISTS["places"].split()
VERBS: list[str] = _LISTS["verbs"].split()
SYLLABLES: list[str] = _LISTS["syllables"].split()
GOALS: list[str] = _LISTS["goals"]
SENTENCES: list[str] = _LISTS["sentences"]


class Tail:
    """Draws the first words of a list often and the last ones seldom."""

    def __init__(self, dice: random.Random, choices: Sequence[str]) -> None:
        self._dice = dice
        self._choices = choices
        self._shares = list(accumulate(1 / (rank + 6) for rank in range(len(choices))))

    def some(self, count: int) -> list[str]:
        """That many words; a word may come twice."""
        return self._dice.choices(self._choices, cum_weights=self._shares, k=count)
