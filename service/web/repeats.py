"""Idempotency-Key: what a client sends to repeat a write whose answer was lost."""

import re
from hashlib import sha256
from typing import Any

from litestar import Request

from service.errors import InvalidInput
from service.idempotency import Kept, Repeatable
from service.web.answers import JSON, Answer
from service.web.auth import key_of

HEADER = b"idempotency-key"
_FORM = re.compile(rb"[\x21-\x7e]{1,255}\Z")


async def repeatable(request: Request[Any, Any, Any]) -> Repeatable | None:
    """What this request is known by when it comes again; None without a key.

    Raises InvalidInput for a key that is none, or is there twice.
    """
    given = [v for n, v in request.scope["headers"] if n == HEADER]
    if not given:
        return None
    if len(given) > 1 or not _FORM.match(given[0]):
        place = "header.idempotency-key"
        raise InvalidInput.at(place, "expected one, of 1 to 255 visible ASCII letters")
    caller = sha256(key_of(request.scope["headers"]) or b"").digest()
    raw_path: bytes = request.scope["raw_path"]
    parts = (caller, request.method.encode(), raw_path, given[0])
    scope = sha256(b"\0".join(sha256(part).digest() for part in parts)).digest()
    return Repeatable(scope, sha256(await request.body()).digest())


def answer_of(kept: Kept) -> Answer:
    """The answer, the first time and every time after."""
    headers = [(name.encode(), text.encode()) for name, text in kept.headers.items()]
    return Answer(kept.body.encode(), status=kept.status, media=JSON, headers=headers)
