"""Connections to databases last as long as a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stream.tables import CONNECTIONS


@pytest.fixture(autouse=True)
def connections() -> Iterator[None]:
    """Close what the test has opened."""
    yield
    for connection in CONNECTIONS.values():
        connection.close()
    CONNECTIONS.clear()
