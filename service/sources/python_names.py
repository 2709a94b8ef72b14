"""What the names of one Python module stand for, as far as its syntax tree says.

Nothing is evaluated: a value is what is written out, directly or behind a name.
"""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from service.sources.clean import plain
from service.sources.values import UNKNOWN

DEEPEST = 12
MOST_STEPS = 200_000
LARGEST_NUMBER = 2**53
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """The syntax tree of one file, and where its names come from."""

    def __init__(self, path: str, source: str) -> None:
        """Parse it. Raises SyntaxError and what else `ast.parse` raises."""
        self.path = path
        self._steps_left = MOST_STEPS
        self._elsewhere: Mapping[str, Module] = {}
        self.nodes = list(ast.walk(ast.parse(source, path)))
        self.imports: dict[str, str] = {}
        """`sp` to `subprocess`, `run` to `subprocess.run`."""
        self.classes: dict[str, ast.ClassDef] = {}
        self.functions: dict[str, Function] = {}
        self.values: dict[str, ast.expr] = {}
        for node in self.nodes:
            self._enter(node)

    def _enter(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                self.imports[alias.asname or root] = (
                    alias.name if alias.asname else root
                )
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            for alias in node.names:
                self.imports[alias.asname or alias.name] = f"{start}.{alias.name}"
        elif isinstance(node, ast.ClassDef):
            self.classes.setdefault(node.name, node)
        elif isinstance(node, Function):
            self.functions.setdefault(node.name, node)
        else:
            self.values.update(_assigned(node))

    def dotted(self, node: ast.expr) -> str:
        """The whole name of `sp.run` where `sp` was imported; empty for no name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        start = self.imports.get(node.id, node.id)
        return ".".join([start, *reversed(parts)])

    def link(self, elsewhere: "Mapping[str, Module]") -> None:
        """Let names that this module imports lead to other modules of its package."""
        self._elsewhere = elsewhere

    def home_of(self, name: str) -> "Module":
        """The module in which to look for a name: this one, or where it comes from."""
        is_here = name in self.values or name in self.classes or name in self.functions
        is_imported = not is_here and name in self.imports
        return self._elsewhere.get(name, self) if is_imported else self

    def may_go_on(self, depth: int) -> bool:
        """Count a step; False where names lead too deep or too wide."""
        self._steps_left -= 1
        return depth <= DEEPEST and self._steps_left > 0

    def value(self, node: ast.expr | None, depth: int = 0) -> Any:  # noqa: ANN401
        """The value that an expression writes out, or UNKNOWN."""
        read = _READERS.get(type(node))
        if node is None or read is None or not self.may_go_on(depth):
            return UNKNOWN
        return read(self, node, depth)

    def text(self, node: ast.expr | None) -> str | None:
        """The text that an expression writes out; None without one."""
        value = self.value(node)
        return value if isinstance(value, str) else None


def _constant(_module: Module, node: ast.Constant, _depth: int) -> Any:  # noqa: ANN401
    if isinstance(node.value, str):
        return plain(node.value)
    if isinstance(node.value, int) and abs(node.value) > LARGEST_NUMBER:
        return UNKNOWN
    return node.value if isinstance(node.value, int | float | None) else UNKNOWN


def _name(module: Module, node: ast.Name, depth: int) -> Any:  # noqa: ANN401
    home = module.home_of(node.id)
    return home.value(home.values.get(node.id), depth + 1)


def _list(module: Module, node: ast.List, depth: int) -> list[Any]:
    return [module.value(item, depth + 1) for item in node.elts]


def _object(module: Module, node: ast.Dict, depth: int) -> Any:  # noqa: ANN401
    keys = [module.value(key, depth + 1) for key in node.keys]
    if not all(isinstance(key, str) for key in keys):
        return UNKNOWN
    values = [module.value(value, depth + 1) for value in node.values]
    return dict(zip(keys, values, strict=True))


def _member(module: Module, node: ast.Attribute, depth: int) -> Any:  # noqa: ANN401
    """`Tools.LIST` or `Tools.LIST.value` of a class that lists its members."""
    inner = node.value if node.attr == "value" else node
    if not isinstance(inner, ast.Attribute) or not isinstance(inner.value, ast.Name):
        return UNKNOWN
    home = module.home_of(inner.value.id)
    owner = home.classes.get(inner.value.id)
    for statement in owner.body if owner else ():
        found = dict(_assigned(statement))
        if inner.attr in found:
            return home.value(found[inner.attr], depth + 1)
    return UNKNOWN


def _sum(module: Module, node: ast.expr, depth: int) -> Any:  # noqa: ANN401
    """Texts that are added up."""
    sides = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides.append(node.right)
        node = node.left
    texts = [module.value(side, depth + 1) for side in (node, *reversed(sides))]
    return "".join(texts) if all(isinstance(t, str) for t in texts) else UNKNOWN


def _negative(module: Module, node: ast.UnaryOp, depth: int) -> Any:  # noqa: ANN401
    number = module.value(node.operand, depth + 1)
    is_number = isinstance(node.op, ast.USub) and isinstance(number, int | float)
    return -number if is_number else UNKNOWN


def _call(module: Module, node: ast.Call, depth: int) -> Any:  # noqa: ANN401
    """A text without the blanks around it."""
    func = node.func
    if not isinstance(func, ast.Attribute) or func.attr != "strip" or node.args:
        return UNKNOWN
    text = module.value(func.value, depth + 1)
    return text.strip() if isinstance(text, str) else UNKNOWN


_READERS: dict[type, Callable[[Module, Any, int], Any]] = {
    ast.Attribute: _member,
    ast.BinOp: _sum,
    ast.Call: _call,
    ast.Constant: _constant,
    ast.Dict: _object,
    ast.List: _list,
    ast.Name: _name,
    ast.Set: _list,
    ast.Tuple: _list,
    ast.UnaryOp: _negative,
}


def link(modules: Sequence[Module]) -> None:
    """Let the names of a package lead from file to file, where only one has them."""
    owners: dict[str, list[Module]] = {}
    for module in modules:
        for name in {*module.values, *module.classes, *module.functions}:
            owners.setdefault(name, []).append(module)
    alone = {name: found[0] for name, found in owners.items() if len(found) == 1}
    for module in modules:
        module.link(alone)


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    """The arguments of a call that are given by name."""
    return {word.arg: word.value for word in call.keywords if word.arg}


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that a statement gives a value to."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id, node.value  # type: ignore[attr-defined]
