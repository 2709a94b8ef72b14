"""Sets of ids that mostly follow each other, kept as ranges."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence


class Ids:
    """Ids that are added in ascending order."""

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self.add(list(ids))

    def add(self, ids: Sequence[int]) -> None:
        """Take more, all of them above those that are there."""
        if ids and ids[-1] - ids[0] + 1 == len(ids):
            self._take(ids[0], ids[-1])
            return
        for id_ in ids:
            self._take(id_, id_)

    def __contains__(self, id_: object) -> bool:
        """Whether an id is among them."""
        if not isinstance(id_, int):
            return False
        place = bisect_right(self._firsts, id_) - 1
        return place >= 0 and id_ <= self._lasts[place]

    def __str__(self) -> str:
        """As PostgreSQL writes a multirange."""
        ranges = zip(self._firsts, self._lasts, strict=True)
        return f"{{{','.join(f'[{first},{last}]' for first, last in ranges)}}}"

    def _take(self, first: int, last: int) -> None:
        if self._lasts and self._lasts[-1] + 1 == first:
            self._lasts[-1] = last
        else:
            self._firsts.append(first)
            self._lasts.append(last)
