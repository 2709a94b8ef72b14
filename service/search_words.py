"""The words of a search: how they are cut, which of them tell, what was meant by them.

Text is cut here as `search_text` cuts it in the database, at every ASCII character that
is no letter or digit and at general punctuation; everything else is a matter of the
database's own parser. So no operator or quote ever reaches it.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from string import ascii_lowercase

import msgspec

_CUT = re.compile("[\x01-/:-@\\[-`{-\xbf\u2000-\u206f\u3000-\u303f]+")
_CAPITAL = re.compile(r"([a-z0-9])(?=[A-Z])|([A-Z])(?=[A-Z][a-z])")
# Only from the start of a word, or a long word is tried from each of its letters.
_SCHEME = re.compile(r"(?<![a-z])[a-z]+://(?:www\.)?", re.IGNORECASE)
_WILDCARD = re.compile(r"[\\%_]")

# In a catalog of MCP servers these say nothing.
_IDLE = frozenset({"mcp", "server", "servers"})
# What the database's English configuration leaves out, without what has an apostrophe.
_STOP_WORDS = """
    i me my myself we our ours ourselves you your yours yourself yourselves he him his
    himself she her hers herself it its itself they them their theirs themselves what
    which who whom this that these those am is are was were be been being have has had
    having do does did doing a an the and but if or because as until while of at by for
    with about against between into through during before after above below to from up
    down in out on off over under again further then once here there when where why how
    all any both each few more most other some such no nor not only own same so than too
    very s t can will just don should now
    """
_STOP = frozenset(_STOP_WORDS.split())

SHORTEST, LONGEST = 3, 20


class Asked(msgspec.Struct, frozen=True):
    """What a search looks for: every word, and the path where there is one."""

    words: tuple[str, ...]
    path: str = ""
    is_ranked: bool = True
    """False where only words are left that nearly every entry has."""

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.words or self.path)

    @property
    def words_json(self) -> str:
        """Each word in the ways it may be cut, for the database."""
        return msgspec.json.encode([_ways(word) for word in self.words]).decode()

    @property
    def pattern(self) -> str | None:
        """The pattern that paths have to match."""
        if not self.path:
            return None
        return f"%{_WILDCARD.sub(lambda match: chr(92) + match[0], self.path)}%"


class Near(msgspec.Struct, frozen=True):
    """A word of the catalog that may have been meant."""

    word: str
    uses: int


def cut(text: str, *, with_path: bool = True) -> Asked:
    """What a text asks for.

    A word with a slash is a path: a part of a registry name or of a URL.
    """
    text = unicodedata.normalize("NFC", text)
    path = ""
    if with_path and "/" in text:
        text, path = _take_path(text)
    # Signs alone, such as emoji, are words to one database and nothing to the other.
    words = [word for word in dict.fromkeys(_CUT.split(text)) if _has_letter(word)]
    telling = [word for word in words if word.lower() not in _IDLE | _STOP]
    if telling or path:
        return Asked(tuple(telling), path)
    idle = [word for word in words if word.lower() in _IDLE]
    return Asked(tuple(idle), is_ranked=False)


def _has_letter(word: str) -> bool:
    return any(map(str.isalnum, word))


def edits(word: str) -> list[str]:
    """Every text one step away: a letter less, more, another one, or two swapped."""
    if not SHORTEST <= len(word) <= LONGEST:
        return []
    splits = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    found = {a + b[1:] for a, b in splits if b}
    found |= {a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1}
    found |= {a + letter + b[1:] for a, b in splits if b for letter in ascii_lowercase}
    found |= {a + letter + b for a, b in splits for letter in ascii_lowercase}
    return sorted(found - {word})


def likeliest(word: str, candidates: Iterable[Near]) -> str | None:
    """The candidate that was most likely meant, if there is one."""
    weights = {near.word: _weight(word, near) for near in candidates}
    likely = {other: weight for other, weight in weights.items() if weight is not None}
    return max(likely, key=lambda other: (likely[other], other), default=None)


def distance(one: str, other: str) -> int:
    """How many steps lead from one text to the other; see `edits`."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            is_same = letter == wanted
            steps = min(before[j] + 1, row[-1] + 1, before[j - 1] + (not is_same))
            if i > 1 < j and one[i - 2] == wanted and letter == other[j - 2]:
                steps = min(steps, earlier[j - 2] + 1)
            row.append(steps)
    return row[-1]


def _weight(word: str, near: Near) -> float | None:
    """How likely a word stands for another: often used, easily mistyped so; or not."""
    strangeness = _strangeness(word, near.word)
    return None if strangeness is None else math.log(near.uses + 1) - strangeness


def _strangeness(word: str, other: str) -> float | None:
    """How odd it were to type `word` for `other`; None where they are too different."""
    if other.startswith(word):
        return 1 - len(word) / len(other)
    most = 1 + len(word) // 5
    if abs(len(word) - len(other)) > most or (steps := distance(word, other)) > most:
        return None
    if word.startswith(other):
        return 2.5 * steps
    is_swapped = sorted(word) == sorted(other)
    is_letter_lost = len(word) < len(other)
    starts_otherwise = word[0] != other[0] and sorted(word[:2]) != sorted(other[:2])
    return (
        2.5 * (steps - 1)
        + 0.7 * (not is_swapped and not is_letter_lost)
        + 1.5 * starts_otherwise
    )


def _take_path(text: str) -> tuple[str, str]:
    """The text without its first word that is a path, and that path."""
    tokens = text.split()
    for place, token in enumerate(tokens):
        path = _path(token)
        if path:
            return " ".join(tokens[:place] + tokens[place + 1 :]), path
    return text, ""


def _path(token: str) -> str:
    path = _SCHEME.sub("", token, count=1)
    if path != token:
        path = path.rstrip("/").removesuffix(".git")
    elif "/" not in path:
        return ""
    return path.lower() if _CUT.sub("", path) else ""


def _ways(word: str) -> Sequence[str]:
    parts = _CAPITAL.sub(r"\1\2 ", word)
    return [word] if parts == word else [word, parts]
