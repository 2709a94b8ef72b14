"""The words of the fetch layer: what is asked, within which limits, what came back."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, BinaryIO, Literal, TypeVar

import aiohttp
import msgspec
from multidict import CIMultiDict
from yarl import URL

from service.errors import Reason, SourceFailed

T = TypeVar("T")
Method = Literal["GET", "HEAD", "POST", "DELETE"]
Headers = Mapping[str, str]
# An ETag and a Last-Modified by their names in lower case, as a checkpoint keeps them.
Validators = Mapping[str, str]

_CONDITIONS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one call may cost."""

    body_bytes: int = 8 << 20
    """After decompression."""
    total_s: float = 20.0
    """Waits, all tries, all redirects and the body together."""
    redirects: int = 5
    tries: int = 4


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request."""

    url: str
    method: Method = "GET"
    headers: Headers = {}
    """Only `Accept` goes on to another host."""
    body: bytes | None = None
    limits: Limits
    may_be: Collection[int] = ()
    """Statuses from 400 on that are answers too; all others raise."""
    is_encoded: bool = False
    """The body is wanted as it was sent, which is how archives are checked."""
    is_stream: bool = False
    """The answer may go on for long: it takes no place among the calls at once."""


class Reply:
    """An answer whose body is still to come."""

    def __init__(self, response: aiohttp.ClientResponse, limits: Limits) -> None:
        self._response = response
        self._limits = limits
        self.status = response.status
        self.url = str(response.url)
        self.headers = CIMultiDict(response.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece; raises SourceFailed when it is too large."""
        most = self._limits.body_bytes
        self._check_size(self._response.content_length or 0)
        read_bytes = 0
        try:
            async for chunk in self._response.content.iter_any():
                read_bytes += len(chunk)
                self._check_size(read_bytes)
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            message = f"the answer broke off after {read_bytes} of at most {most} bytes"
            raise failure(self.url, message, "connection") from error

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._limits.body_bytes:
            message = f"the answer is larger than {self._limits.body_bytes} bytes"
            raise failure(self.url, message, "too_large")


class Answer(msgspec.Struct, frozen=True):
    """An answer that was read whole."""

    url: str
    """Where it came from in the end."""
    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def is_unchanged(self) -> bool:
        """Whether the validators that were sent still hold."""
        return self.status == 304

    @property
    def validators(self) -> dict[str, str]:
        """What to send the next time to hear only of changes; may be empty."""
        return {key: self.headers[key] for key in _CONDITIONS if key in self.headers}

    def json(self, kind: type[T]) -> T:
        """The body as JSON of this type. Raises SourceFailed when it is none."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except RecursionError as error:
            message = "the JSON is nested too deeply"
            raise failure(self.url, message, "bad_answer") from error
        except (msgspec.DecodeError, UnicodeError) as error:
            what = self.headers.get("Content-Type", "nothing said of its type")[:100]
            message = f"not the JSON that was expected ({what}): {error}"
            raise failure(self.url, message, "bad_answer") from error

    def text(self) -> str:
        """The body as UTF-8; what is none becomes U+FFFD."""
        return self.body.decode("utf-8", "replace")


class Download(msgspec.Struct, frozen=True):
    """A body in a temporary file, at its beginning; the file goes with the context."""

    url: str
    headers: CIMultiDict[str]
    file: BinaryIO
    size_bytes: int
    sha256: str


def conditions(validators: Validators) -> dict[str, str]:
    """The headers that ask for an answer only when it changed."""
    return {
        header: validators[key]
        for key, header in _CONDITIONS.items()
        if validators.get(key)
    }


def shown(url: str | URL) -> str:
    """A URL without what may be secret: user, password, query and fragment."""
    try:
        parts = URL(str(url)).with_user(None)
    except ValueError:
        return "what was given"
    return str(parts.with_query(None).with_fragment(None))[:300]


def failure(
    url: str | URL, message: str, reason: Reason, *, retry_after_s: float | None = None
) -> SourceFailed:
    """The error of one URL."""
    text = f"{shown(url)}: {message}"
    return SourceFailed(text, reason=reason, retry_after_s=retry_after_s)


def read_object(answer: Answer) -> dict[str, Any]:
    """The body as a JSON object. Raises SourceFailed when it is none."""
    return answer.json(dict[str, Any])
