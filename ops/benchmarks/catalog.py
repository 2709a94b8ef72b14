"""A made-up catalog of any size: the same entries for the same size, everywhere.

Words follow a long tail, so that frequent words are about as frequent as in real
registries: every tenth entry or so has the most frequent one.
"""

import random
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import msgspec

from ops.benchmarks import words

SEED = 20_251_218
EPOCH = datetime(2024, 11, 25, tzinfo=UTC)
AGE_S = 33_000_000
NOW = EPOCH + timedelta(seconds=AGE_S)
_OWNERS = 4000


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is of everything."""

    servers: int = 20_000
    versions: int = 66_000
    embeddings: int = 500

    @property
    def parents(self) -> range:
        """The ids of the servers that have tools and other children: every fifth."""
        return range(1, self.servers + 1, 5)


class Entry(msgspec.Struct, frozen=True):
    """What the records of one server have in common."""

    id: int
    owner: str
    name: str
    title: str
    description: str
    published_at: datetime
    versions: int

    @property
    def registry_name(self) -> str:
        """The name in reverse-DNS form."""
        return f"io.github.{self.owner}/{self.name}"

    @property
    def repository(self) -> str:
        """Where the source is."""
        return f"https://github.com/{self.owner}/{self.name}"


class Catalog:
    """The entries, and the dice that everything else about them is thrown with."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.dice = random.Random(SEED)  # noqa: S311 - made-up entries, no secrets
        self.topics = words.Tail(self.dice, words.TOPICS)
        self.owners = [
            "".join(self.dice.choices(words.SYLLABLES, k=4)) for _ in range(_OWNERS)
        ]
        taken: set[tuple[str, str]] = set()
        self.entries = [
            self._entry(number, taken, versions)
            for number, versions in enumerate(self._version_counts(), 1)
        ]

    def _version_counts(self) -> list[int]:
        """One for each server, the rest where the dice fall: a few have many."""
        counts = [1] * self.size.servers
        shares = list(accumulate(self.dice.paretovariate(1.6) for _ in counts))
        places = range(len(counts))
        rest = self.size.versions - self.size.servers
        for place in self.dice.choices(places, cum_weights=shares, k=rest):
            counts[place] += 1
        return counts

    def _entry(self, number: int, taken: set[tuple[str, str]], versions: int) -> Entry:
        choose = self.dice.choice
        first, second, third = self.topics.some(3)
        place, owner = choose(words.PLACES), choose(self.owners)
        name = f"{choose((second, place.lower(), owner[:6]))}-{first}-mcp"
        if (owner, name) in taken:
            name = f"{name}-{number}"
        taken.add((owner, name))
        about = f"{choose(words.VERBS)} {first}, {second} and {third}"
        return Entry(
            id=number,
            owner=owner,
            name=name,
            title=f"{place} {first.title()}",
            description=f"{about} in {place} {choose(words.GOALS)}.",
            published_at=EPOCH + timedelta(seconds=self.dice.randrange(AGE_S)),
            versions=versions,
        )
