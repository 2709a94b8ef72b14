"""Which package registries this machine is set up with, as its own clients say it.

No registry is built into MCPS. Where a setting is empty, npm and pip are asked, with a
limit on their time; they know of files, environment and defaults of their own.
"""

import asyncio
import re
import sys
from collections.abc import Collection

import msgspec

from service.errors import InvalidSettings
from service.models_harvest import SourceName
from service.settings import Settings
from service.sources.clean import web_url

LIMIT_S = 20.0
_DEFAULT = re.compile(r"\(default (https?://[^\s)]{1,500})\)")
_PIP = (sys.executable, "-m", "pip")


async def with_registries(
    settings: Settings, sources: Collection[SourceName]
) -> Settings:
    """The settings with what npm and pip say where these sources have no base URL.

    Asked before anything is fetched: what the machine is set up with may have a private
    address, as what the operator sets may.
    """
    found = {}
    if "npm" in sources and not settings.npm_registry_url:
        found["npm_registry_url"] = await _npm_registry()
    if "pypi" in sources and not settings.pypi_url:
        found["pypi_url"] = await _pip_index()
    return msgspec.structs.replace(settings, **found)


def base_of(url: str, variable: str) -> str:
    """A base URL without the slash at its end. Raises InvalidSettings without one."""
    if not url:
        message = f"{variable}: not set, and nothing on this machine names a registry"
        raise InvalidSettings(message)
    return url.rstrip("/")


async def _npm_registry() -> str:
    """The registry of npm; empty when it names none."""
    return web_url(await _said("npm", "config", "get", "registry")) or ""


async def _pip_index() -> str:
    """The index of pip, without `/simple`; empty when it names none."""
    url = web_url(await _said(*_PIP, "config", "get", "global.index-url"))
    if url is None:
        # What pip uses when nobody told it anything stands in its help.
        text = " ".join((await _said(*_PIP, "help", "install")).split())
        found = _DEFAULT.search(text)
        url = web_url(found[1]) if found else None
    return (url or "").rstrip("/").removesuffix("/simple")


async def _said(*command: str) -> str:
    """What a command prints; empty when it fails, is not there or takes long."""
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(LIMIT_S):
            out, _ = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        return ""
    return out.decode("utf-8", "replace").strip() if child.returncode == 0 else ""
