"""The catalog as files that clients read whole: a list, a policy, one configuration."""

import re
from collections.abc import AsyncIterator, Iterable
from itertools import chain
from typing import Any

import msgspec

from service.errors import NotFound
from service.models_registry import Launch, McpFile, Prompt
from service.registry import LATEST, get_version, read_listing
from service.store.base import Queries

STDIO = "stdio"
_PAGE = 1000
_VARIABLE = re.compile(r"\{([A-Za-z0-9_.-]+)\}")
_PLAIN = re.compile(r"[^A-Za-z0-9_-]+")
_REMOTE_KINDS = {"streamable-http": "http", "sse": "sse"}


class _Document(msgspec.Struct):
    name: str
    remotes: Any = None


class _Listed(msgspec.Struct):
    server: _Document


async def export_list(store: Queries) -> bytes:
    """Every latest version in one list."""
    pages = [",".join(items).encode() async for items in _pages(store) if items]
    return b'{"servers":[%b]}' % b",".join(pages)


async def export_policy(store: Queries) -> bytes:
    """The `managed-settings.json` that allows what is listed, and nothing else."""
    allowed: list[dict[str, str]] = []
    async for items in _pages(store):
        for item in msgspec.json.decode(f"[{','.join(items)}]", type=list[_Listed]):
            allowed.append({"serverName": item.server.name})
            allowed += ({"serverUrl": url} for url in _urls(item.server.remotes))
    return msgspec.json.encode({"allowedMcpServers": allowed})


async def export_launch(store: Queries, name: str) -> bytes:
    """The `mcp.json` that starts one server.

    Raises NotFound when there is no such server, or nothing of it can be started.
    """
    found = await get_version(store, name, LATEST, include_deleted=False)
    document = msgspec.json.decode(found.body)["server"]
    file = _Writer().file(name, document)
    if file is None:
        message = "this server has neither a remote nor a package to start over stdio"
        raise NotFound(message)
    return msgspec.json.encode(file)


async def _pages(store: Queries) -> AsyncIterator[list[str]]:
    """The list in pieces, so that no one statement takes long."""
    name = version = ""
    while True:
        items, last, _ = await read_listing(
            store,
            "registry_page_latest",
            _PAGE,
            include_deleted=False,
            name=name,
            version=version,
        )
        yield items
        if last is None:
            return
        name, version = last["registry_name"], last["version"]


def _urls(remotes: object) -> Iterable[str]:
    """The addresses of remotes; a part that users fill in stands for anything."""
    for remote in _objects(remotes):
        url = remote.get("url")
        if isinstance(url, str) and url:
            yield _VARIABLE.sub("*", url)


def _objects(value: object) -> list[dict[str, Any]]:
    """The objects in a list; entries are stored whatever their shape."""
    found = value if isinstance(value, list) else []
    return [part for part in found if isinstance(part, dict)]


class _Writer:
    """Writes one configuration, and collects what its user has to be asked for."""

    def __init__(self) -> None:
        self._inputs: dict[str, Prompt] = {}

    def file(self, name: str, document: dict[str, Any]) -> McpFile | None:
        """The configuration; None when nothing can be started."""
        remotes = map(self._remote, _objects(document.get("remotes")))
        packages = map(self._package, _objects(document.get("packages")))
        # The first that fits: nobody is asked for what the others would need.
        launch = next(filter(None, chain(remotes, packages)), None)
        if launch is None:
            return None
        key = _PLAIN.sub("-", name.rpartition("/")[2])
        return McpFile(servers={key: launch}, inputs=[*self._inputs.values()])

    def _remote(self, remote: dict[str, Any]) -> Launch | None:
        kind = _REMOTE_KINDS.get(str(remote.get("type")))
        url = remote.get("url")
        if kind is None or not isinstance(url, str):
            return None
        headers = self._named(remote.get("headers"))
        variables = remote.get("variables")
        known = variables if isinstance(variables, dict) else {}
        return Launch(
            type=kind,
            url=_VARIABLE.sub(lambda m: self._ask(m[1], known.get(m[1])), url),
            headers=headers,
        )

    def _package(self, package: dict[str, Any]) -> Launch | None:
        variables = _objects(package.get("environmentVariables"))
        names = [str(part["name"]) for part in variables if part.get("name")]
        started = _command(package, names)
        if started is None:
            return None
        command, before, target = started
        env = self._named(variables)
        is_hinted = package.get("runtimeHint") in (None, "", command)
        # Those for another command mean nothing to this one.
        runtime = package.get("runtimeArguments") if is_hinted else ()
        return Launch(
            type=STDIO,
            command=command,
            args=[
                *before,
                *self._arguments(runtime),
                target,
                *self._arguments(package.get("packageArguments")),
            ],
            env=env,
        )

    def _named(self, inputs: object) -> dict[str, str]:
        """Headers or variables with their values, or what asks for them."""
        return {
            str(part["name"]): self._value(str(part["name"]), part)
            for part in _objects(inputs)
            if part.get("name")
        }

    def _arguments(self, arguments: object) -> list[str]:
        found: list[str] = []
        for part in _objects(arguments):
            name = str(part.get("name") or "")
            has_value = "value" in part or "default" in part or part.get("isRequired")
            found += [name] if name else []
            if has_value or not name:
                hint = part.get("valueHint")
                found.append(self._value(name.strip("-") or str(hint or "value"), part))
        return found

    def _value(self, name: str, part: dict[str, Any]) -> str:
        texts = (part.get("value"), part.get("default"))
        text = next((text for text in texts if isinstance(text, str)), None)
        if text is None:
            return self._ask(name, part)
        variables = part.get("variables")
        known = variables if isinstance(variables, dict) else {}
        return _VARIABLE.sub(
            lambda m: self._ask(m[1], known[m[1]]) if m[1] in known else m[0], text
        )

    def _ask(self, name: str, part: object) -> str:
        about = part if isinstance(part, dict) else {}
        key = _PLAIN.sub("-", name)
        self._inputs[key] = Prompt(
            id=key,
            description=str(about.get("description") or name),
            password=about.get("isSecret") is True,
        )
        return f"${{input:{key}}}"


def _command(
    package: dict[str, Any], env: Iterable[str]
) -> tuple[str, list[str], str] | None:
    """The command, its own arguments, and what it starts; None for what needs more.

    What speaks HTTP has to be started elsewhere: over its output no client reaches it.
    A `runtimeHint` such as python starts files, and no package by its name.
    """
    transport = package.get("transport")
    if isinstance(transport, dict) and transport.get("type", STDIO) != STDIO:
        return None
    identifier = str(package.get("identifier") or "")
    version = package.get("version")
    known = {
        "npm": ("npx", ["-y"], "@"),
        "pypi": ("uvx", [], "=="),
        "nuget": ("dnx", ["--yes"], "@"),
    }
    kind = str(package.get("registryType"))
    if kind == "oci" and identifier:
        variables = [word for name in env for word in ("-e", name)]
        hint = str(package.get("runtimeHint") or "docker")
        return hint, ["run", "-i", "--rm", *variables], identifier
    if kind not in known or not identifier:
        return None
    command, before, joint = known[kind]
    target = f"{identifier}{joint}{version}" if version else identifier
    return command, before, target
