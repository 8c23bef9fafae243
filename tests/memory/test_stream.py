"""A fit of data in pieces needs memory for a piece, whatever the number of pieces."""

from __future__ import annotations

from typing import Any

import pytest

import lmmformula as lf
from tests.memory.measure import grouped, growth

FORMULA = "y ~ x1 + x2 + (x1 | g)"
PIECE = 5_000


def pieces(n: int) -> Any:
    """Frames that are made one at a time, twice if need be."""

    def frames() -> Any:
        for i in range(n // PIECE):
            frame = grouped(PIECE)
            yield frame.assign(y=frame["y"] + 0.01 * i)

    return frames


@pytest.mark.parametrize("method", [None, "krylov"])
def test_pieces_beyond_a_few_cost_nothing(method: str | None) -> None:
    small, large, further = 8 * PIECE, 56 * PIECE, 48 * PIECE
    found = growth(
        lambda n: lf.lmm(FORMULA, lf.stream(pieces(n))).fit(method=method), small, large, further
    )
    assert abs(found.held) < 0.5
    # Reader, encoder and summation meet or not, by chance: a piece or two more or less at once,
    # where the rows in memory would take more than 40 bytes each.
    assert found.peak < 4.0
