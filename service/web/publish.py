"""Writing through the registry API: publish, edit, status, and a check beforehand."""

from typing import Any

from litestar import Request

from service import publishing, statuses
from service.errors import InvalidInput, NotSupported, Unprocessable
from service.models_publish import (
    Finding,
    ServerDocument,
    StatusChange,
    StatusChanged,
    Verdict,
)
from service.models_registry import Item
from service.permissions import Caller
from service.serverjson import check
from service.web.answers import Answer, json_value
from service.web.asked import read_asked
from service.web.bodies import read_body
from service.web.prefixes import Handlers, part, routes
from service.web.repeats import answer_of, repeatable
from service.web.spec import NoQuery, spec

Call = Request[Any, Any, Any]

LIMIT_S = 60.0
PROOF_S = 20.0
"""Packages are looked up in other places before anything is written."""
_VERSION = "/servers/{server:str}/versions/{version:str}"
_WRITE = {"role": "publish", "tag": "registry"}


async def publish(request: Call) -> Answer:
    """Publishes a new version, active from now on.

    The document has to fit the schema that it names, the current schema and every rule
    of /validate, or it is 422 with all that is wrong. 400: the version exists already,
    the name has 10,000 versions, a remote's URL belongs to another name, `_meta` is too
    large, or a package does not say that it belongs to this server.

    With an `Idempotency-Key` it may be sent again for a day: the answer is the same.
    """
    read_asked(request.scope["query_string"], NoQuery)
    document = await read_body(request, Any)
    caller = _allowed(request, _name_of(document), "publish")
    publication = publishing.read_publication(document)
    await request.app.state.ownership.check(publication)
    again = await repeatable(request)
    store = request.app.state.store
    return answer_of(await publishing.publish(store, caller, publication, again))


async def edit(request: Call) -> Answer:
    """Replaces the document of a version; name and version have to stay.

    A deleted version has to be restored first. When it was published does not change.
    """
    read_asked(request.scope["query_string"], NoQuery)
    name, version = part(request, "server"), part(request, "version")
    caller = _allowed(request, name, "edit")
    document = await read_body(request, Any)
    _require_same(document, name, version)
    publication = publishing.read_publication(document)
    await request.app.state.ownership.check(publication)
    return Answer(await publishing.edit(request.app.state.store, caller, publication))


async def set_status(request: Call) -> Answer:
    """Marks one version active, deprecated or deleted; any change between them goes.

    Chooses the latest version anew. 400 when nothing would change.
    """
    read_asked(request.scope["query_string"], NoQuery)
    name, version = part(request, "server"), part(request, "version")
    caller = _allowed(request, name, "publish", "edit")
    change = await _read_change(request)
    return Answer(
        await statuses.set_status(
            request.app.state.store, caller, name, version, change
        )
    )


async def set_all_statuses(request: Call) -> Answer:
    """Marks all versions of a server; answers with those that changed."""
    read_asked(request.scope["query_string"], NoQuery)
    name = part(request, "server")
    caller = _allowed(request, name, "publish", "edit")
    change = await _read_change(request)
    return Answer(
        await statuses.set_all_statuses(request.app.state.store, caller, name, change)
    )


async def delete(request: Call) -> Answer:
    """Not supported: what was published stays known. Set the status to deleted."""
    read_asked(request.scope["query_string"], NoQuery)
    message = (
        "versions are not removed, so that clients learn what became of them: "
        "PATCH their status to deleted"
    )
    raise NotSupported(message)


async def validate(request: Call) -> Answer:
    """Says whether a document could be published, and everything found in it.

    Publishing may still be refused for what other entries hold.
    """
    read_asked(request.scope["query_string"], NoQuery)
    try:
        found = check(await read_body(request, Any))
    except InvalidInput as error:
        found = (Finding("json", "", error.message, "error", "json"),)
    is_valid = all(finding.severity != "error" for finding in found)
    return json_value(Verdict(valid=is_valid, issues=list(found)))


def _allowed(request: Call, name: str, *actions: Any) -> Caller:  # noqa: ANN401
    """Who asks. Raises Forbidden when they may not do that with this name."""
    caller: Caller = request.scope["caller"]  # type: ignore[typeddict-item]
    caller.require(name, *actions)
    return caller


def _name_of(document: object) -> str:
    """The name in a document, whatever else is wrong with it."""
    name = document.get("name") if isinstance(document, dict) else None
    return name if isinstance(name, str) else ""


def _require_same(document: object, name: str, version: str) -> None:
    """Raise InvalidInput for a document of another server or version."""
    if not isinstance(document, dict):
        return
    if document.get("name", name) != name:
        raise InvalidInput.at(
            "body.name", "must be that of the path: no server is renamed"
        )
    if document.get("version", version) != version:
        raise InvalidInput.at("body.version", "must be that of the path")


async def _read_change(request: Call) -> StatusChange:
    return await read_body(request, StatusChange, misfit=Unprocessable)


_HANDLERS: Handlers = (
    (
        "post",
        "/publish",
        publish,
        spec(
            summary="Publish a version",
            answer=Item,
            body=ServerDocument,
            may_fail=("unprocessable", "conflict"),
            limit_s=PROOF_S,
            is_repeatable=True,
            **_WRITE,
        ),
    ),
    (
        "put",
        _VERSION,
        edit,
        spec(
            summary="Edit a version",
            answer=Item,
            body=ServerDocument,
            may_fail=("unprocessable",),
            limit_s=PROOF_S,
            **_WRITE,
        ),
    ),
    (
        "patch",
        f"{_VERSION}/status",
        set_status,
        spec(
            summary="Change the status of a version",
            answer=Item,
            body=StatusChange,
            may_fail=("unprocessable",),
            **_WRITE,
        ),
    ),
    (
        "patch",
        "/servers/{server:str}/status",
        set_all_statuses,
        spec(
            summary="Change the status of all versions",
            answer=StatusChanged,
            body=StatusChange,
            may_fail=("unprocessable",),
            limit_s=LIMIT_S,
            **_WRITE,
        ),
    ),
    (
        "delete",
        _VERSION,
        delete,
        spec(
            summary="Remove a version: not supported",
            may_fail=("not_supported",),
            **_WRITE,
        ),
    ),
    (
        "post",
        "/validate",
        validate,
        spec(
            summary="Check a server.json",
            answer=Verdict,
            body=ServerDocument,
            role="open",
            tag="registry",
        ),
    ),
)

ROUTES = routes(_HANDLERS)
"""The handlers of this file, below each prefix."""
