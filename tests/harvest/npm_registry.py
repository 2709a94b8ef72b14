"""A local npm registry with one package in it."""

import base64
import hashlib
import json
from typing import Any

from aiohttp import web

from tests.harvest.packed import tarball
from tests.harvest.places import Handler

Json = dict[str, Any]
MANIFEST: Json = {
    "name": "@acme/files",
    "version": "1.2.0",
    "description": "Files for agents",
    "mcpName": "io.github.acme/files",
    "keywords": ["mcp", "files"],
    "author": {"name": "Ada", "email": "ada@example.com"},
    "license": "MIT",
    "homepage": "https://acme.example/files",
    "repository": {
        "type": "git",
        "url": "git+https://github.com/Acme/servers.git",
        "directory": "src/files",
    },
    "bin": {"files": "dist/index.js"},
    "scripts": {"postinstall": "node fetch.js"},
    "dependencies": {"@modelcontextprotocol/sdk": "^1.0.0"},
    "devDependencies": {"typescript": "^5"},
}
CODE = b"""
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { exec } from "child_process";
server.registerTool("read_file", { description: "Reads.", inputSchema: {} }, run);
"""
FILES = {
    "package.json": json.dumps(MANIFEST, indent=2).encode(),
    "README.md": b"# Files\n",
    "dist/index.js": CODE,
    "dist/index.test.js": b'eval("1")',
    "manifest.json": b'{"tools": [{"name": "read_file"}, {"name": "listed"}]}',
}


class Registry:
    """What the local registry answers; every part may be changed or be broken."""

    def __init__(self) -> None:
        self.archive = tarball(FILES)
        self.document: Json = {
            "name": "@acme/files",
            "dist-tags": {"latest": "1.2.0", "next": "2.0.0-beta.1"},
            "time": {
                "created": "2026-01-01T00:00:00.000Z",
                "1.10.0": "2026-01-02T00:00:00.000Z",
                "1.2.0": "2026-03-04T05:06:07.890Z",
                "2.0.0-beta.1": "2026-03-05T00:00:00.000Z",
                "0.0.1": "no time",
            },
            "versions": {
                "1.10.0": {},
                "1.2.0": dict(MANIFEST),
                "2.0.0-beta.1": {},
                "0.0.1": {},
            },
        }
        self.url = ""
        self.found: list[Json] = []
        self.broken: dict[str, Handler] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        for start, handler in self.broken.items():
            if path.startswith(start):
                return await handler(request)
        if path == "/@acme%2Ffiles":
            return self._packument(request)
        if path.endswith(".tgz"):
            return web.Response(body=self.archive)
        found = self._found(request, path)
        return web.json_response(found, status=404 if found is None else 200)

    def _found(self, request: web.Request, path: str) -> Json | None:
        if path == "/@acme%2Ffiles/latest":
            document = json.loads(self._packument(request).text or "")
            return dict(document["versions"]["1.2.0"])
        if path == "/@modelcontextprotocol%2Fsdk/latest":
            return {"dist": {"unpackedSize": 1_234_567}}
        if path.startswith("/downloads/point/last-month/"):
            return {"downloads": 4321}
        if path != "/-/v1/search":
            return None
        first, number = (int(request.query[key]) for key in ("from", "size"))
        listed = self.found[first : first + number]
        return {"objects": [{"package": package} for package in listed]}

    def _packument(self, request: web.Request) -> web.Response:
        document = json.loads(json.dumps(self.document))
        digest = base64.b64encode(hashlib.sha512(self.archive).digest()).decode()
        dist = {"integrity": f"sha512-{digest}", "tarball": "files-1.2.0.tgz"}
        dist["tarball"] = f"http://{request.host}/@acme/files/-/files-1.2.0.tgz"
        document["versions"]["1.2.0"].setdefault("dist", dist)
        tag = f'"{hashlib.sha256(json.dumps(document).encode()).hexdigest()}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        return web.json_response(document, headers={"ETag": tag})
