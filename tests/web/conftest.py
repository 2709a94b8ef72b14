"""Fixtures of the tests of HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Any]:
    """A connection of its own, for rows that no API writes."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
