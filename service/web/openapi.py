"""The OpenAPI document, made from the Specs that the handlers carry."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from service.web.problems import STATUS, ProblemDocument
from service.web.reads import is_kept
from service.web.spec import Spec

Schema = dict[str, Any]

# Other registries take a catalog for their own kind by this version and the address in
# the description, so both stay as they are while the registry API does.
API_VERSION = "1.0.0"
_ABOUT = (
    "A self-hosted catalog of MCP servers. Below /v0.1 and /v0 it serves the API of "
    "https://github.com/modelcontextprotocol/registry."
)
_REF = "#/components/schemas/{name}"
_SECURITY: list[Schema] = [{"apiKey": []}, {"bearer": []}]
_UNCHANGED = "Not changed since the answer whose ETag is in If-None-Match."
_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Sent again with the same body within a day: the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_DESCRIPTIONS = {
    400: "A parameter, the path or the body is not valid; `errors` says where.",
    401: "A key is needed, or the one sent is not valid.",
    403: "The role of the key does not allow this.",
    404: "There is no such entry.",
    409: "An entry with this identity exists; `existing` leads to it.",
    412: "The entry is no longer the one that If-Match names.",
    413: "The body is too large.",
    415: "The body is not plain JSON.",
    422: "The document breaks a rule.",
    431: "The head of the request is too large.",
    501: "This installation cannot do it; `detail` says why.",
    503: "Try again after Retry-After seconds; `code` says why.",
}
_DOCUMENTS = {"application/json", "application/yaml"}


def operations(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler, Spec]]:
    """Path, method, handler and Spec of everything the application answers."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        # Sorted: the framework's order is another one in every process.
        for method, (handler, _) in sorted(route.route_handler_map.items()):
            spec = handler.opt.get("spec")
            if spec and method not in {"OPTIONS", "HEAD"}:
                yield route.path_format, method.lower(), handler, spec


def openapi_document(app: Litestar, *, root_path: str) -> Schema:
    """The whole document as JSON values."""
    found = list(operations(app))
    kinds = [ProblemDocument, *_json_types(spec for *_, spec in found)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_type = {repr(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, Schema] = {}
    for path, method, handler, spec in found:
        operation = _operation(path, method, handler, spec, by_type)
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MCPS",
            "version": API_VERSION,
            "summary": "A self-hosted catalog of MCP servers.",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _json_types(specs: Iterable[Spec]) -> list[Any]:
    kinds = [kind for spec in specs for kind in (spec.answer, spec.body) if kind]
    return list({repr(kind): kind for kind in kinds}.values())


def _operation(
    path: str,
    method: str,
    handler: HTTPRouteHandler,
    spec: Spec,
    by_type: dict[str, Schema],
) -> Schema:
    operation: Schema = {
        "operationId": handler.name or handler.handler_name,
        "summary": spec.summary,
        "description": (handler.fn.__doc__ or "").strip(),
        "tags": [spec.tag],
        "parameters": [
            *_path_parameters(path),
            *_query_parameters(spec),
            *([_IDEMPOTENCY_KEY] if spec.is_repeatable else []),
        ],
        "responses": _responses(path, method, spec, by_type),
    }
    if spec.body:
        content = {"application/json": {"schema": by_type[repr(spec.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    if spec.role != "open":
        anonymous: list[Schema] = [] if spec.role else [{}]
        operation["security"] = [*anonymous, *_SECURITY]
    return operation


def _path_parameters(path: str) -> Iterator[Schema]:
    for name in re.findall(r"\{(\w+)\}", path):
        schema = {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(spec: Spec) -> Iterator[Schema]:
    (schema,), components = msgspec.json.schema_components(
        [spec.query], ref_template=_REF
    )
    name = schema["$ref"].rsplit("/", 1)[-1]
    shape = components[name]
    required = shape.get("required", [])
    for parameter, details in shape.get("properties", {}).items():
        yield {
            "name": parameter,
            "in": "query",
            "required": parameter in required,
            "schema": _without_null(details),
        }


def _without_null(schema: Schema) -> Schema:
    """A query string has no null: an optional parameter is absent instead."""
    plain = {key: value for key, value in schema.items() if key != "default"}
    if schema.get("default") is not None:
        plain["default"] = schema["default"]
    if "anyOf" in plain:
        choices = [part for part in plain.pop("anyOf") if part != {"type": "null"}]
        plain |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    if "enum" in plain:
        plain["enum"] = [value for value in plain["enum"] if value is not None]
    return plain


def _responses(
    path: str, method: str, spec: Spec, by_type: dict[str, Schema]
) -> Schema:
    success: Schema = {"description": spec.summary}
    if spec.answer:
        content = {"schema": by_type[repr(spec.answer)]}
        success["content"] = {"application/json": content}
    elif spec.status not in {204, 304, 307}:
        kind = "object" if spec.media in _DOCUMENTS else "string"
        success["content"] = {spec.media: {"schema": {"type": kind}}}
    responses: Schema = {str(spec.status): success}
    if method == "get" and is_kept(path):
        responses["304"] = {"description": _UNCHANGED}
    for status in sorted(_error_statuses(path, method, spec)):
        schema = {"schema": by_type[repr(ProblemDocument)]}
        responses[str(status)] = {
            "description": _DESCRIPTIONS[status],
            "content": {"application/problem+json": schema},
        }
    return responses


def _error_statuses(path: str, method: str, spec: Spec) -> set[int]:
    statuses = {400, 431, 503, *(STATUS[code] for code in spec.may_fail)}
    if spec.role != "open":
        statuses.add(401)
    if spec.role not in {"open", None}:
        statuses.add(403)
    if "{" in path:
        statuses.add(404)
    if spec.body or method in {"post", "put", "patch"}:
        statuses |= {413, 415}
    return statuses
