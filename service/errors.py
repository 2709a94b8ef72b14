"""Everything that MCPS raises, as one tree.

McpsError
├── InvalidInput            400  the request is wrong; `problems` says where
│   ├── InvalidText         400  NUL, a lone surrogate or invalid UTF-8
│   └── InvalidCursor       400  a cursor that this catalog did not hand out
├── Unauthorized            401  no key, or one that is wrong, revoked or expired
├── Forbidden               403  the key's role may not do this
├── NotFound                404
├── MethodNotAllowed        405
├── Conflict                409  something with this identity is there already
├── PreconditionFailed      412  the row changed since the client read it
├── TooLarge                413
├── UnsupportedMediaType    415
├── Unprocessable           422  well-formed, but against the rules of a server.json
├── SourceFailed            502  a place that is read from; `reason` says how
├── NotSupported            501  this installation cannot do it; the text says why
├── Unavailable             503  try again after `retry_after_s`
│   ├── DatabaseDown        503  refused, cut off, or answering nothing
│   │   └── UnsupportedServer 503  it answers, but is too old
│   ├── PoolExhausted       503  every connection was busy for the whole wait
│   ├── DeadlineExceeded    503  the database part of a request took too long
│   ├── LockTimeout         503  somebody holds the rows
│   ├── ReadOnly            503  a standby, or default_transaction_read_only
│   ├── StorageFull         503
│   ├── SchemaMismatch      503  migrations are missing
│   ├── MissingPrivilege    503  the role of the database may not do it
│   └── Overloaded          503  too many requests at once
├── InvalidSettings         exit 2
├── RefusedFile             exit 2  a file that is not what the command reads
├── MigrationFailed         exit 1
└── Interrupted             exit 75  stopped on the way; can be resumed

`web/problems.py` turns `code` into a status, `cli` turns `exit_code` into its own.
"""

from typing import ClassVar, Literal

import msgspec

# Why a place could not be read; the label of a metric.
Reason = Literal[
    "bad_answer",
    "bad_url",
    "connection",
    "not_found",
    "rate_limited",
    "redirect",
    "refused_address",
    "status",
    "timeout",
    "too_large",
    "unauthorized",
    "unavailable",
]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is wrong: where it is and what it is."""

    message: str
    location: str = ""


class McpsError(Exception):
    """Something went wrong inside MCPS."""

    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1

    def __init__(
        self, message: str | None = None, *, problems: tuple[Problem, ...] = ()
    ) -> None:
        self.message = message or (type(self).__doc__ or self.code).strip()
        self.problems = problems
        super().__init__(self.message)


class InvalidInput(McpsError):
    """The request is not valid."""

    code = "invalid"
    exit_code = 2

    @classmethod
    def at(cls, location: str, message: str) -> "InvalidInput":
        """Say what is wrong at one place of the request."""
        text = f"{location}: {message}" if location else message
        return cls(text, problems=(Problem(message, location),))


class InvalidText(InvalidInput):
    """The text holds a character that cannot be stored."""

    code = "invalid_text"


class InvalidCursor(InvalidInput):
    """The cursor is not one that this catalog handed out; start without it."""

    code = "invalid_cursor"


class Unauthorized(McpsError):
    """A valid API key is needed: send it as X-API-Key or as a bearer token."""

    code = "unauthorized"


class Forbidden(McpsError):
    """The role of this API key does not allow that."""

    code = "forbidden"


class NotFound(McpsError):
    """There is nothing here."""

    code = "not_found"


class MethodNotAllowed(McpsError):
    """This path does not take that method."""

    code = "method_not_allowed"


class Conflict(McpsError):
    """An entry with this identity exists already."""

    code = "conflict"

    def __init__(self, message: str | None = None, *, existing: str = "") -> None:
        super().__init__(message)
        self.existing = existing


class PreconditionFailed(McpsError):
    """The entry changed since it was read; read it again."""

    code = "precondition_failed"


class TooLarge(McpsError):
    """The request is too large."""

    code = "too_large"


class UnsupportedMediaType(McpsError):
    """The body must be application/json, uncompressed."""

    code = "unsupported_media_type"


class Unprocessable(InvalidInput):
    """The document breaks the rules of a server.json."""

    code = "unprocessable"


class SourceFailed(McpsError):
    """A place that servers come from could not be read."""

    code = "source_failed"

    def __init__(
        self, message: str, *, reason: Reason, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.retry_after_s = retry_after_s


class NotSupported(McpsError):
    """This installation cannot do that."""

    code = "not_supported"


class Unavailable(McpsError):
    """The catalog cannot answer just now; try again."""

    code = "unavailable"
    exit_code = 75

    def __init__(
        self, message: str | None = None, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after_s = 1 if retry_after_s is None else retry_after_s


class DatabaseDown(Unavailable):
    """The database does not answer."""

    code = "database_down"


class UnsupportedServer(DatabaseDown):
    """The database server is too old."""

    code = "unsupported_server"


class PoolExhausted(Unavailable):
    """Every database connection is busy."""

    code = "pool_exhausted"


class DeadlineExceeded(Unavailable):
    """The database took too long."""

    code = "deadline_exceeded"


class LockTimeout(Unavailable):
    """The rows are locked by another session."""

    code = "lock_timeout"


class ReadOnly(Unavailable):
    """The database takes no writes just now."""

    code = "read_only"


class StorageFull(Unavailable):
    """The database has no space left."""

    code = "storage_full"


class SchemaMismatch(Unavailable):
    """The database schema is not the one this version needs: run `mcps migrate`."""

    code = "schema_mismatch"
    # Nothing goes on before somebody migrates.
    exit_code = 1


class MissingPrivilege(Unavailable):
    """The role of the database may not do that: `mcps check` says what to grant."""

    code = "missing_privilege"
    exit_code = 1


class Overloaded(Unavailable):
    """Too many requests at once."""

    code = "overloaded"


class InvalidSettings(McpsError):
    """A setting is missing or wrong."""

    code = "invalid_settings"
    exit_code = 2


class RefusedFile(McpsError):
    """The file is not one that this command reads."""

    code = "refused_file"
    exit_code = 2


class MigrationFailed(McpsError):
    """The migrations could not be applied."""

    code = "migration_failed"


class Interrupted(McpsError):
    """Stopped on the way; run the same command again to go on."""

    code = "interrupted"
    exit_code = 75
