"""A file of rows with the fits of it, once for all; connections to databases for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import lmmformula as lf
from tests.stream.fitted import both, measured, parquet
from tests.stream.tables import CONNECTIONS


@pytest.fixture(autouse=True)
def connections() -> Iterator[None]:
    """Close what the test has opened."""
    yield
    for connection in CONNECTIONS.values():
        connection.close()
    CONNECTIONS.clear()


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the measured rows as a file."""
    return parquet(measured(), tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="session")
def fits(path: Path) -> tuple[lf.LinearMixedResults, lf.LinearMixedResults]:
    """Return the fit in memory, and that in pieces."""
    with pytest.warns(lf.DroppedRowsWarning):
        return both(path)
