"""The words of the risk of a server."""

import msgspec

from service.models import RiskLevel
from service.models_harvest import RiskKind, SourceName


class RiskFact(msgspec.Struct, kw_only=True):
    """Something that a server does or brings along, and the place that shows it.

    It says what code could do, not that it does harm; a fact that is missing proves
    nothing.
    """

    source: SourceName
    kind: RiskKind
    file: str
    """Path inside the package; empty for the package as a whole."""
    line: int
    """From 1; 0 for the file as a whole."""
    detail: str
    """What stands there, such as `subprocess.run` or the text of a script."""


class ServerRisk(msgspec.Struct, kw_only=True):
    """The level that administration weighs, and beside it what harvests have shown."""

    server_id: int
    risk_level: RiskLevel
    facts: list[RiskFact]
