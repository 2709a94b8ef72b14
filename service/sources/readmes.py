"""The name that a README claims: `mcp-name: io.github.someone/server`.

It is how a package says which server it belongs to; the line may stand in a comment.
"""

import re

from service.sources.clean import registry_name

_CLAIM = re.compile(r"\bmcp-name:[ \t]{0,8}([a-zA-Z0-9.-]{1,120}/[a-zA-Z0-9._-]{1,80})")


def claimed_name(readme: str) -> str | None:
    """The first name that is claimed; None without one.

    A `-` that closes an HTML comment is no part of the name.
    """
    match = _CLAIM.search(readme)
    return registry_name(match[1].removesuffix("--")) if match else None
