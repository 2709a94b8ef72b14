"""What a caller may write: actions on names, given as patterns.

`*` stands for every name, a `*` at the end for every name that begins so; anything else
is one name.
"""

from typing import Literal

import msgspec

from service.errors import Forbidden

Action = Literal["publish", "edit"]

EVERY_NAME = "*"
LONGEST_NAME = 200


class Permission(msgspec.Struct, frozen=True):
    """One action on the names that fit a pattern."""

    action: str
    resource: str

    def covers(self, action: str, name: str) -> bool:
        """Whether this allows the action on that name."""
        if action != self.action:
            return False
        if self.resource.endswith(EVERY_NAME):
            return name.startswith(self.resource.removesuffix(EVERY_NAME))
        return name == self.resource


class Caller(msgspec.Struct, frozen=True):
    """Who writes, and what they may."""

    subject: str
    """For the log, without secrets: how they came in and as whom."""
    permissions: tuple[Permission, ...]

    @property
    def has_every_name(self) -> bool:
        """Whether the caller may publish whatever they like."""
        return Permission("publish", EVERY_NAME) in self.permissions

    def require(self, name: str, *actions: Action) -> None:
        """Raise Forbidden unless one of the actions is allowed on that name."""
        if any(p.covers(a, name) for p in self.permissions for a in actions):
            return
        patterns = sorted({p.resource for p in self.permissions if p.action in actions})
        what = " or ".join(actions)
        message = (
            f"you may {what}: {', '.join(patterns) or 'nothing'}; "
            f"attempting to {what}: {name[:LONGEST_NAME] or 'no name'}"
        )
        raise Forbidden(message)


def all_names(*actions: Action) -> tuple[Permission, ...]:
    """Permission for these actions on every name."""
    return tuple(Permission(action, EVERY_NAME) for action in actions)
