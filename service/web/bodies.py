"""Request bodies: JSON of a known type, with nothing that cannot be stored."""

import re
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException

from service.errors import InvalidInput, InvalidText, UnsupportedMediaType
from service.models import has_bad_text
from service.web.parameters import plainly

Body = TypeVar("Body")


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """An object without fields."""


_MISSING = re.compile(r"Object missing required field `(.*)`\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`\Z", re.DOTALL)


async def read_body(
    request: Request[Any, Any, Any],
    kind: type[Body],
    *,
    misfit: type[InvalidInput] = InvalidInput,
) -> Body:
    """The body as `kind`.

    Raises UnsupportedMediaType unless it is plain JSON, `misfit` with the place of what
    does not fit, InvalidText for NUL characters and lone surrogates.
    """
    media = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise UnsupportedMediaType
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType
    return decode_body(await _received(request), kind, misfit=misfit)


async def read_no_body(request: Request[Any, Any, Any]) -> None:
    """Raises InvalidInput for a body that says something, where none is asked for."""
    if await _received(request):
        await read_body(request, Nothing)


def decode_body(
    raw: bytes, kind: type[Body], *, misfit: type[InvalidInput] = InvalidInput
) -> Body:
    """JSON bytes as `kind`; see read_body."""
    if raw.startswith(b"\xef\xbb\xbf"):
        raise InvalidText.at("body", "starts with a byte order mark")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidText.at("body", f"not valid UTF-8 at byte {error.start}") from None
    if not raw.strip():
        raise InvalidInput.at("body", "is empty; expected JSON")
    try:
        body = msgspec.json.decode(raw, type=kind)
        if b"\\u0000" in raw or b"\\ud" in raw or b"\\uD" in raw:
            _refuse_bad_text(body)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), misfit, kind) from None
    except msgspec.DecodeError as error:
        raise InvalidInput.at("body", str(error)) from None
    except RecursionError:
        raise InvalidInput.at("body", "nested too deeply") from None
    return body


async def _received(request: Request[Any, Any, Any]) -> bytes:
    try:
        return await request.body()
    except InternalServerException:
        # What Litestar calls it when a client goes away in the middle.
        raise InvalidInput.at("body", "the connection ended before it did") from None


def _misfit(text: str, refusal: type[InvalidInput], kind: object) -> InvalidInput:
    """The error for what msgspec says; a field too many or missing is the place."""
    message, _, place = text.partition(" - at `$")
    place = "body" + place.rstrip("`")
    message = plainly(message, kind, place.removeprefix("body."))
    if unknown := _UNKNOWN.match(message):
        place, message = f"{place}.{unknown[1][:64]}", "unknown or protected field"
    elif missing := _MISSING.match(message):
        place, message = f"{place}.{missing[1]}", "is needed"
    return refusal.at(place[:256], message[:256])


def _refuse_bad_text(body: object) -> None:
    if has_bad_text(msgspec.to_builtins(body)):
        raise InvalidText.at("body", "holds a NUL character or a lone surrogate")
