"""The query files as text: blocks with a name, a comment and a statement."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from service.resources import resource

_NAME = re.compile(r"--\s*name:\s*([a-z]\w*)(?:\((.*?)\))?(\S*)\s*")
_QUOTED = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\"[^\"]*\"")


@dataclass(frozen=True)
class Block:
    """One named query as it stands in its file."""

    place: str
    name: str
    parameters: frozenset[str]
    suffix: str
    comment: str
    lines: tuple[str, ...]

    @property
    def noun(self) -> str:
        """What the query is about."""
        return self.name.split("_", 1)[0]

    @property
    def bare(self) -> str:
        """The statement without comments and quoted texts."""
        return _QUOTED.sub("''", "\n".join(self.lines))


def blocks(place: str, text: str) -> Iterator[Block]:
    """The queries of one file."""
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if _NAME.fullmatch(line)]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        match = _NAME.fullmatch(lines[start])
        assert match
        name, parameters, suffix = match.groups()
        body = lines[start + 1 : end]
        first = next((i for i, t in enumerate(body) if not t.startswith("--")), 0)
        while body and not body[-1].strip():
            body.pop()
        yield Block(
            place=f"{place}:{start + 1}",
            name=name,
            parameters=frozenset(p.strip() for p in (parameters or "").split(",") if p),
            suffix=suffix,
            comment=" ".join(line.removeprefix("--").strip() for line in body[:first]),
            lines=tuple(body[first:]),
        )


def all_blocks(dialect: str = "postgresql") -> list[Block]:
    """Every query of a dialect."""
    folder = resource("queries") / ("" if dialect == "postgresql" else dialect)
    return [
        block
        for path in sorted(folder.glob("*.sql"))
        for block in blocks(path.name, path.read_text(encoding="utf-8"))
    ]
