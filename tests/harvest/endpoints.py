"""A live MCP endpoint on loopback, in both transports and with what can go wrong."""

import asyncio
import json
from typing import Any

from aiohttp import web

Object = dict[str, Any]


class Endpoint:
    """Speaks streamable HTTP at /mcp, and the older transport at /sse."""

    def __init__(self, tools: int = 5) -> None:
        self.info: Object = {"name": "acme", "title": "Acme", "version": "1"}
        self.tools = [
            {"name": f"t{n}", "description": "d", "inputSchema": {"type": "object"}}
            for n in range(tools)
        ]
        self.page_size = 2
        self.is_stream = False
        self.needs_session = True
        self.methods: list[str] = []
        self._waiting: asyncio.Queue[Object] = asyncio.Queue()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/sse" and request.method == "GET":
            return await self._events(request)
        if request.path == "/messages":
            answer = self.answer(await request.json())
            if answer is not None:
                self._waiting.put_nowait(answer)
            return web.Response(status=202)
        if request.path != "/mcp":
            return web.Response(status=405)
        if request.method == "DELETE":
            self.methods.append("DELETE")
            return web.Response(status=204)
        return await self._post(request)

    async def _post(self, request: web.Request) -> web.StreamResponse:
        message = await request.json()
        is_first = message["method"] == "initialize"
        if not is_first and self.needs_session:
            if request.headers.get("Mcp-Session-Id") != "s1":
                return web.Response(status=400)
            assert request.headers["MCP-Protocol-Version"]
        answer = self.answer(message)
        headers = {"Mcp-Session-Id": "s1"} if is_first else {}
        if answer is None:
            return web.Response(status=202)
        if self.is_stream:
            note = {"jsonrpc": "2.0", "method": "notifications/message"}
            text = "".join(_event(it) for it in (note, answer))
            return web.Response(
                text=text, content_type="text/event-stream", headers=headers
            )
        return web.json_response(answer, headers=headers)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(
            b": hello\r\nevent: endpoint\r\ndata: /messages?s=1\r\n\r\n"
        )
        while True:
            answer = await self._waiting.get()
            await response.write(_event(answer).encode())

    def answer(self, message: Object) -> Object | None:
        """The answer to a message; None to a notification."""
        self.methods.append(message["method"])
        if "id" not in message:
            return None
        result = self._result(message["method"], message.get("params", {}))
        return {"jsonrpc": "2.0", "id": message["id"], **result}

    def _result(self, method: str, params: Object) -> Object:
        if method == "initialize":
            can: Object = {"tools": {}, "resources": {}, "prompts": {}}
            said = {"protocolVersion": "2025-06-18", "serverInfo": self.info}
            return {"result": {**said, "capabilities": can, "instructions": "Use it."}}
        if method == "tools/list":
            at = int(params.get("cursor", "0"))
            page: Object = {"tools": self.tools[at : at + self.page_size]}
            if at + self.page_size < len(self.tools):
                page["nextCursor"] = str(at + self.page_size)
            return {"result": page}
        lists: Object = {
            "prompts/list": {"prompts": [{"name": "p", "arguments": [{"name": "a"}]}]},
            "resources/list": {"resources": [{"uri": "file:///a", "name": "a"}]},
            "resources/templates/list": {
                "resourceTemplates": [{"uriTemplate": "file:///{x}"}]
            },
        }
        if method in lists:
            return {"result": lists[method]}
        return {"error": {"code": -32601, "message": "no such method"}}


def _event(message: Object) -> str:
    return f"event: message\ndata: {json.dumps(message)}\n\n"
