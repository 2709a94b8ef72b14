"""As much of PromQL as the alerts use, over samples that a test makes up."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Samples = Sequence[tuple[float, float]]
Value = Vector | float

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?![\w.]))|(?P<word>[a-z_]\w*)|(?P<selector>\{[^}]*\})"
    r"|(?P<range>\[\w+\])|(?P<duration>\d+[smh])|(?P<symbol>==|>|/|-|\(|\)|,))"
)
_MATCHER = re.compile(r'(\w+)\s*(=~|=)\s*"([^"]*)"')
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    ">": lambda a, b: a > b,
}
_REDUCE: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "min": min,
    "max": max,
}


@dataclass
class Series:
    """What Prometheus has scraped."""

    data: dict[str, dict[Labels, Samples]] = field(default_factory=dict)

    def add(self, name: str, samples: Samples, **labels: str) -> None:
        """Add one series."""
        self.data.setdefault(name, {})[frozenset(labels.items())] = samples


def fires(expr: str, for_s: float, series: Series, *, until_s: float) -> bool:
    """Whether an alert with this expression fires at some time up to `until_s`."""
    since: dict[Labels, float] = {}
    for t in range(0, int(until_s) + 1, 15):
        found = Expression(expr, series, t).value()
        assert isinstance(found, dict)
        since = {labels: since.get(labels, t) for labels in found}
        if any(t - begin >= for_s for begin in since.values()):
            return True
    return False


def seconds(duration: str) -> float:
    """The length of a duration such as 5m."""
    return float(duration[:-1]) * _SECONDS[duration[-1]]


class Expression:
    """One expression, evaluated at one time while it is read."""

    def __init__(self, text: str, series: Series, t: float) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._series = series
        self._t = t

    def value(self) -> Value:
        """The value of the whole expression. Raises SyntaxError where it is none."""
        found = self._or()
        if self._at != len(self._tokens):
            raise SyntaxError(self._tokens[self._at][1])
        return found

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        text = self._peek()
        if not text or (wanted and text not in wanted):
            message = f"expected {wanted}, found {text or 'the end'}"
            raise SyntaxError(message)
        self._at += 1
        return text

    def _or(self) -> Value:
        left = self._unless()
        while self._peek() == "or":
            self._take()
            left = {**_vector(self._unless()), **_vector(left)}
        return left

    def _unless(self) -> Value:
        left = self._comparison()
        while self._peek() == "unless":
            self._take()
            right = _vector(self._comparison())
            left = {k: v for k, v in _vector(left).items() if k not in right}
        return left

    def _comparison(self) -> Value:
        left = self._difference()
        while self._peek() in _COMPARE:
            holds, right = _COMPARE[self._take()], self._difference()
            assert isinstance(right, float)
            left = {k: v for k, v in _vector(left).items() if holds(v, right)}
        return left

    def _difference(self) -> Value:
        left = self._quotient()
        while self._peek() == "-":
            self._take()
            assert isinstance(left, float)
            right = _vector(self._quotient())
            left = {labels: left - value for labels, value in right.items()}
        return left

    def _quotient(self) -> Value:
        left = self._primary()
        while self._peek() == "/":
            self._take()
            on: list[str] | None = None
            if self._peek() == "on":
                self._take()
                on = self._names()
                self._take("group_left")
                assert self._names() == []
            left = _divide(_vector(left), _vector(self._primary()), on)
        return left

    def _primary(self) -> Value:
        kind = self._tokens[self._at][0] if self._at < len(self._tokens) else ""
        text = self._take()
        if kind == "number":
            return float(text)
        if text == "(":
            found = self._or()
            self._take(")")
            return found
        if kind != "word":
            raise SyntaxError(text)
        if text in _REDUCE:
            return self._aggregation(text)
        if text == "time":
            assert self._names() == []
            return float(self._t)
        if self._peek() == "(":
            return self._function(text)
        return {k: s[-1][1] for k, s in self._select(text, 300.0).items() if s}

    def _aggregation(self, name: str) -> Vector:
        by: list[str] = []
        if self._peek() == "by":
            self._take()
            by = self._names()
        self._take("(")
        vector = _vector(self._or())
        self._take(")")
        groups: dict[Labels, list[float]] = {}
        for labels, value in vector.items():
            groups.setdefault(_kept(labels, by), []).append(value)
        return {labels: _REDUCE[name](values) for labels, values in groups.items()}

    def _function(self, name: str) -> Vector:
        self._take("(")
        if name == "histogram_quantile":
            share = self._or()
            assert isinstance(share, float)
            self._take(",")
            found = _quantile(share, _vector(self._or()))
        elif name == "absent":
            found = {} if _vector(self._or()) else {frozenset(): 1.0}
        else:
            found = self._over_time(name)
        self._take(")")
        return found

    def _over_time(self, name: str) -> Vector:
        metric = self._take()
        window = self._tokens[self._at + 1 if self._peek()[:1] == "{" else self._at][1]
        window_s = seconds(window.strip("[]"))
        chosen = self._select(metric, window_s)
        if name == "max_over_time":
            return {k: max(v for _, v in s) for k, s in chosen.items() if s}
        divisor = {"rate": window_s, "increase": 1.0}[name]
        return {k: _increase(s) / divisor for k, s in chosen.items() if len(s) > 1}

    def _select(self, metric: str, window_s: float) -> dict[Labels, Samples]:
        matchers = _MATCHER.findall(self._take()) if self._peek()[:1] == "{" else []
        if self._peek()[:1] == "[":
            self._take()
        t = self._t
        if self._peek() == "offset":
            self._take()
            t -= seconds(self._take())
        return {
            labels: samples[_place(samples, t - window_s) : _place(samples, t)]
            for labels, samples in self._series.data.get(metric, {}).items()
            if _fits(dict(labels), matchers)
        }

    def _names(self) -> list[str]:
        self._take("(")
        found = []
        while self._peek() != ")":
            found.append(self._take())
            if self._peek() == ",":
                self._take()
        self._take(")")
        return found


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if not match or not match.lastgroup:
            raise SyntaxError(text[at:])
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _place(samples: Samples, t: float) -> int:
    """Where the samples after a time begin."""
    return bisect_right(samples, t, key=itemgetter(0))


def _vector(value: Value) -> Vector:
    if not isinstance(value, dict):
        message = f"expected series, found {value}"
        raise SyntaxError(message)  # noqa: TRY004 - of the expression, not of Python
    return value


def _kept(labels: Labels, names: Iterable[str]) -> Labels:
    wanted = set(names)
    return frozenset((k, v) for k, v in labels if k in wanted)


def _fits(labels: Mapping[str, str], matchers: list[tuple[str, str, str]]) -> bool:
    for name, operator, wanted in matchers:
        found = labels.get(name, "")
        if operator == "=" and found != wanted:
            return False
        if operator == "=~" and not re.fullmatch(wanted, found):
            return False
    return True


def _divide(left: Vector, right: Vector, on: list[str] | None) -> Vector:
    by_key = {k if on is None else _kept(k, on): v for k, v in right.items()}
    found = {}
    for labels, value in left.items():
        key = labels if on is None else _kept(labels, on)
        if by_key.get(key):
            found[labels] = value / by_key[key]
    return found


def _increase(samples: Samples) -> float:
    """What a counter gained, a restart of its process included."""
    values = [value for _, value in samples]
    return sum(b - a if b >= a else b for a, b in pairwise(values))


def _quantile(share: float, buckets: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in buckets.items():
        bound = float(dict(labels)["le"])
        rest = frozenset(pair for pair in labels if pair[0] != "le")
        groups.setdefault(rest, []).append((bound, count))
    found = {}
    for labels, counts in groups.items():
        counts.sort()
        rank = share * counts[-1][1]
        below = [(bound, count) for bound, count in counts if count < rank]
        low, under = below[-1] if below else (0.0, 0.0)
        high, upto = counts[min(len(below), len(counts) - 1)]
        if counts[-1][1] and high == float("inf"):
            found[labels] = low
        elif counts[-1][1]:
            found[labels] = low + (high - low) * (rank - under) / (upto - under)
    return found
