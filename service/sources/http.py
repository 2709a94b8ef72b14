"""A live MCP endpoint: what the running server says of itself.

Its lists are what a client would see, so no other source knows tools, resources and
prompts better.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from msgspec import UNSET
from yarl import URL

from service.models_harvest import (
    Fields,
    FoundPrompt,
    FoundResource,
    FoundTool,
    Harvest,
    Order,
    Page,
    SourceName,
)
from service.sources.fetch import Fetcher
from service.sources.mcp import Session, session
from service.sources.requests import failure

# A session may take so many times what one request may.
SESSION_SHARE = 1.5
Object = dict[str, Any]


class HttpSource:
    """Endpoints by their URL."""

    name: SourceName = "http"

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def target_of(self, text: str) -> str | None:
        """The URL in one notation; None unless it is one of http or https."""
        try:
            url = URL(text.strip())
        except ValueError:
            return None
        is_fit = url.scheme in {"http", "https"} and url.host and "{" not in text
        return str(url.with_fragment(None)) if is_fit else None

    async def harvest(self, order: Order) -> AsyncIterator[Page]:
        """One page with one server. Raises SourceFailed."""
        limit_s = SESSION_SHARE * self._fetcher.options.limits.total_s
        timer = asyncio.timeout(limit_s)
        try:
            async with timer, session(self._fetcher, order.target) as opened:
                harvest = await _found(opened, order.target)
        except TimeoutError as error:
            if not timer.expired():
                raise
            message = f"did not say all within {limit_s:g} s"
            raise failure(order.target, message, "timeout") from error
        yield Page(harvests=[harvest])


async def _found(opened: Session, url: str) -> Harvest:
    can = opened.capabilities
    tools = await opened.items("tools/list", "tools") if "tools" in can else []
    prompts = await opened.items("prompts/list", "prompts") if "prompts" in can else []
    resources: list[Object] = []
    if "resources" in can:
        resources = await opened.items("resources/list", "resources")
        resources += await opened.items("resources/templates/list", "resourceTemplates")
    return Harvest(
        primary_url=url,
        fields=_fields(opened),
        tools=[_tool(item) for item in tools],
        resources=[_resource(item) for item in resources],
        prompts=[_prompt(item) for item in prompts],
    )


def _fields(opened: Session) -> Fields:
    server = opened.server
    return Fields(
        name=_text(server, "name") or UNSET,
        title=_text(server, "title") or UNSET,
        host_type="http",
        description=opened.instructions or UNSET,
        homepage=_text(server, "websiteUrl") or UNSET,
    )


def _tool(item: Object) -> FoundTool:
    return FoundTool(
        name=_text(item, "name"),
        description=_text(item, "description") or None,
        input_schema=item.get("inputSchema"),
    )


def _resource(item: Object) -> FoundResource:
    return FoundResource(
        uri_template=_text(item, "uriTemplate") or _text(item, "uri"),
        name=_text(item, "name") or None,
        mime_type=_text(item, "mimeType") or None,
        description=_text(item, "description") or None,
    )


def _prompt(item: Object) -> FoundPrompt:
    return FoundPrompt(
        name=_text(item, "name"),
        description=_text(item, "description") or None,
        arguments=item.get("arguments"),
    )


def _text(holder: Object, key: str) -> str:
    value = holder.get(key)
    return value if isinstance(value, str) else ""
