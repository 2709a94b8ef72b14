"""JavaScript and TypeScript cut into tokens, in one pass over the text.

No parser: only comments, texts, templates, regular expressions, names, numbers and
brackets are told apart, which is what finding calls needs. Whether `/` begins a regular
expression is decided by what stands before it, which is right but for rare cases after
`)` and `}`; a text that then does not end stops at its line.
"""

import re
from bisect import bisect_right
from typing import Literal, NamedTuple

Kind = Literal["name", "text", "template", "number", "sign", "regexp"]

MOST_TOKENS = 1_500_000
DEEPEST = 50
_BLANK = re.compile(r"\s+")
_NAME = re.compile(r"[A-Za-z_$\u0080-\uffff][\w$]*")
_NUMBER = re.compile(r"[0-9][0-9A-Za-z_.]*")
_SIGN = re.compile(r"=>|\?\.(?![0-9])|\.\.\.|[^\w\s]")
# Up to what ends a text, a template or a regular expression, or may not stand in it.
_IN_DOUBLE = re.compile(r'[^"\\\n]*')
_IN_SINGLE = re.compile(r"[^'\\\n]*")
_IN_TEMPLATE = re.compile(r"[^`\\$]*")
_IN_REGEXP = re.compile(r"[^/\\\n\[\]]*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": ""}
_HEX = re.compile(r"u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})")
_BEFORE_REGEXP = frozenset(
    [
        *("return", "typeof", "case", "in", "of", "delete", "void", "throw", "new"),
        *("else", "do", "instanceof", "await", "yield", "=>", "..."),
        *"(,=:[!&|?{};+-*%<>~^",
    ]
)
_CLOSES = {")": "(", "]": "[", "}": "{"}


class Token(NamedTuple):
    """A token: what it is, what it says, and where it begins."""

    kind: Kind
    text: str
    """Without quotes and escapes; computed parts of a template as `…`."""
    start: int


class Script:
    """The tokens of one file, with the partner of every bracket."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.tokens = _Reader(source).tokens()
        self.partners = _partners(self.tokens)
        self._line_ends = [at.start() for at in re.finditer("\n", source)]

    def line(self, place: int) -> int:
        """The line of the token at this place, from 1."""
        return bisect_right(self._line_ends, self.tokens[place].start) + 1

    def says(self, place: int) -> str:
        """The sign or name at a place; empty for texts and beyond the end."""
        if not 0 <= place < len(self.tokens):
            return ""
        token = self.tokens[place]
        return token.text if token.kind in {"name", "sign"} else ""


class _Reader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._tokens: list[Token] = []
        self._inner: list[Token] = []
        self._depth = 0

    def tokens(self) -> list[Token]:
        """All tokens up to the end, or to where a comment or template never ends.

        What is computed inside of templates comes after all the rest.
        """
        while self._at < len(self._source) and self._may_go_on():
            self._step()
        return [*self._tokens, *self._inner]

    def _may_go_on(self) -> bool:
        return len(self._tokens) + len(self._inner) < MOST_TOKENS

    def _step(self) -> None:
        """Read one token, or what is none."""
        letter = self._source[self._at]
        if blank := _BLANK.match(self._source, self._at):
            self._at = blank.end()
        elif letter in "\"'":
            self._quoted(letter)
        elif letter == "`":
            self._template()
        elif letter == "/":
            self._slash()
        else:
            self._plain()

    def _add(self, kind: Kind, text: str, start: int) -> None:
        self._tokens.append(Token(kind, text, start))

    def _plain(self) -> None:
        for kind, pattern in _PLAIN:
            if match := pattern.match(self._source, self._at):
                self._add(kind, match[0], self._at)
                self._at = match.end()
                return
        self._at += 1

    def _quoted(self, quote: str) -> None:
        start, parts = self._at, []
        within = _IN_DOUBLE if quote == '"' else _IN_SINGLE
        self._at += 1
        while match := within.match(self._source, self._at):
            parts.append(match[0])
            self._at = match.end()
            if not self._source.startswith("\\", self._at):
                break
            parts.append(self._escape())
        self._at += self._source.startswith(quote, self._at)
        self._add("text", "".join(parts), start)

    def _escape(self) -> str:
        """What stands behind a backslash."""
        letter = self._source[self._at + 1 : self._at + 2]
        match = _HEX.match(self._source, self._at + 1)
        if match:
            self._at = match.end()
            number = int(match[1] or match[2] or match[3], 16)
            return chr(number) if _is_letter(number) else "\ufffd"
        self._at += 2
        return "" if letter == "\n" else _ESCAPES.get(letter, letter)

    def _template(self) -> None:
        """A template; what is computed inside of it becomes `…`."""
        start, parts = self._at, []
        self._at += 1
        while match := _IN_TEMPLATE.match(self._source, self._at):
            parts.append(match[0])
            self._at = match.end()
            ending = self._source[self._at : self._at + 2]
            if ending[:1] == "\\":
                parts.append(self._escape())
            elif ending == "${":
                self._computed()
                parts.append("…")
            elif ending[:1] == "$":
                parts.append("$")
                self._at += 1
            else:
                break
        self._at += 1
        self._add("template", "".join(parts), start)

    def _computed(self) -> None:
        """Read the code in `${…}`."""
        around, self._tokens = self._tokens, []
        start = self._at
        self._at += 2
        self._depth += 1
        if self._depth > DEEPEST:
            self._at = len(self._source)
        brackets = 0
        while self._at < len(self._source) and self._may_go_on():
            count = len(self._tokens)
            self._step()
            if len(self._tokens) > count and self._tokens[-1].kind == "sign":
                brackets += {"{": 1, "}": -1}.get(self._tokens[-1].text, 0)
            if brackets < 0:
                break
        self._depth -= 1
        self._inner += [Token("sign", ";", start), *self._tokens]
        self._tokens = around

    def _slash(self) -> None:
        source = self._source
        if source.startswith("//", self._at):
            end = source.find("\n", self._at)
            self._at = len(source) if end < 0 else end
        elif source.startswith("/*", self._at):
            end = source.find("*/", self._at + 2)
            self._at = len(source) if end < 0 else end + 2
        elif self._may_begin_regexp():
            self._regexp()
        else:
            self._add("sign", "/", self._at)
            self._at += 1

    def _may_begin_regexp(self) -> bool:
        if not self._tokens:
            return True
        kind, text, _ = self._tokens[-1]
        return kind in {"name", "sign"} and text in _BEFORE_REGEXP

    def _regexp(self) -> None:
        start = self._at
        in_class = False
        self._at += 1
        while match := _IN_REGEXP.match(self._source, self._at):
            self._at = match.end()
            ending = self._source[self._at : self._at + 1]
            if ending == "\\":
                self._at += 2
                continue
            if ending in {"", "\n"} or (ending == "/" and not in_class):
                break
            in_class = ending != "]" and (in_class or ending == "[")
            self._at += 1
        self._at += self._source.startswith("/", self._at)
        self._add("regexp", "", start)


_PLAIN: tuple[tuple[Kind, "re.Pattern[str]"], ...] = (
    ("name", _NAME),
    ("number", _NUMBER),
    ("sign", _SIGN),
)


def _is_letter(number: int) -> bool:
    return number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF and number > 0


def _partners(tokens: list[Token]) -> dict[int, int]:
    """The place of the closing bracket for each opening one that has it."""
    partners: dict[int, int] = {}
    open_at: list[int] = []
    waiting = dict.fromkeys(_CLOSES.values(), 0)
    for place, token in enumerate(tokens):
        if token.kind != "sign":
            continue
        if token.text in waiting:
            open_at.append(place)
            waiting[token.text] += 1
        wanted = _CLOSES.get(token.text)
        while wanted and waiting[wanted]:
            opened = open_at.pop()
            waiting[tokens[opened].text] -= 1
            if tokens[opened].text == wanted:
                partners[opened] = place
                break
    return partners
