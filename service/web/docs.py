"""The documentation: OpenAPI as JSON and YAML, and one page that needs no script."""

import json
from html import escape
from typing import Any

from litestar import Litestar, Request, get

from service.web.answers import Answer
from service.web.catalog import path_of
from service.web.openapi import openapi_document
from service.web.parameters import read_query
from service.web.probes import VERSION
from service.web.spec import NoQuery, spec

_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
)
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; color: #1b1f24; background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem; text-transform: capitalize }
details { border: 1px solid #d0d7de; border-radius: 6px; margin: .5rem 0 }
summary { padding: .5rem .75rem; cursor: pointer }
details > div { padding: 0 .75rem .75rem }
code { font: .9em ui-monospace, monospace } table { border-collapse: collapse }
td, th { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600 }
.role { float: right; color: #57606a; font-size: .85em }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117 } details { border-color: #30363d }
  a { color: #58a6ff } .role { color: #8b949e } }
"""


def document(app: Litestar) -> dict[str, Any]:
    """The OpenAPI document of this application; made at the first question."""
    state = app.state
    if "openapi" not in state:
        root_path = state.settings.root_path
        state.openapi = openapi_document(app, root_path=root_path)
    found: dict[str, Any] = state.openapi
    return found


@get("/openapi.json", opt=spec(summary="This API as OpenAPI", role="open", tag="docs"))
async def openapi_json(request: Request[Any, Any, Any]) -> Answer:
    """The OpenAPI 3.1 document."""
    read_query(request.scope["query_string"], NoQuery)
    return Answer(json.dumps(document(request.app)).encode())


@get(
    "/openapi.yaml",
    opt=spec(
        summary="This API as OpenAPI, in YAML",
        role="open",
        tag="docs",
        media="application/yaml",
    ),
)
async def openapi_yaml(request: Request[Any, Any, Any]) -> Answer:
    """The same document as YAML, of which indented JSON is a part."""
    read_query(request.scope["query_string"], NoQuery)
    text = json.dumps(document(request.app), indent=2)
    return Answer(text.encode(), media=b"application/yaml")


@get(
    "/",
    opt=spec(
        summary="The way to the documentation", role="open", tag="docs", status=307
    ),
)
async def front(request: Request[Any, Any, Any]) -> Answer:
    """Leads whoever opens the service in a browser to its documentation."""
    read_query(request.scope["query_string"], NoQuery)
    place = path_of(request, "/docs")
    note = f'<a href="{place}">The documentation</a>'.encode()
    headers = [(b"location", place.encode())]
    return Answer(note, status=307, media=b"text/html; charset=utf-8", headers=headers)


@get("/docs", opt=spec(summary="This page", role="open", tag="docs", media="text/html"))
async def docs_page(request: Request[Any, Any, Any]) -> Answer:
    """The documentation for people; complete without the internet."""
    read_query(request.scope["query_string"], NoQuery)
    page = _page(document(request.app))
    return Answer(page.encode(), media=b"text/html; charset=utf-8", headers=[_POLICY])


@get(
    "/docs/style.css",
    opt=spec(summary="How /docs looks", role="open", tag="docs", media="text/css"),
)
async def docs_style(request: Request[Any, Any, Any]) -> Answer:
    """The style sheet of /docs."""
    read_query(request.scope["query_string"], NoQuery)
    return Answer(_STYLE.encode(), media=b"text/css; charset=utf-8")


def _page(found: dict[str, Any]) -> str:
    info = found["info"]
    by_tag: dict[str, list[str]] = {}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            block = _block(path, method, operation)
            by_tag.setdefault(operation["tags"][0], []).append(block)
    sections = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(blocks)}" for tag, blocks in by_tag.items()
    )
    title = f"{escape(info['title'])} {escape(VERSION)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title>"
        f'<link rel="stylesheet" href="docs/style.css"></head><body>'
        f"<h1>{title}</h1><p>{escape(info['summary'])}</p>"
        f'<p><a href="openapi.json">openapi.json</a> '
        f'<a href="openapi.yaml">openapi.yaml</a></p>{sections}</body></html>'
    )


def _block(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(_row(parameter) for parameter in operation["parameters"])
    table = f"<table>{rows}</table>" if rows else ""
    codes = ", ".join(operation["responses"])
    return (
        f'<details><summary><span class="role">{escape(_who(operation))}</span>'
        f'<span class="method">{method.upper()}</span> '
        f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
        f"<div><p>{escape(operation['description'])}</p>{table}"
        f"<p>Answers: {codes}</p></div></details>"
    )


def _who(operation: dict[str, Any]) -> str:
    security = operation.get("security", [{}])
    return "anyone" if {} in security else "with a key"


def _row(parameter: dict[str, Any]) -> str:
    schema = parameter["schema"]
    limits = ", ".join(
        f"{key} {value}" for key, value in schema.items() if key != "type"
    )
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code></td>"
        f"<td>{parameter['in']}</td><td>{escape(str(schema.get('type', 'any')))}</td>"
        f"<td>{escape(limits)}</td></tr>"
    )


ROUTES = [front, openapi_json, openapi_yaml, docs_page, docs_style]
