"""What identifies the data of a fit, without the data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmformula.design import Design

__all__ = ["Fingerprint"]


def _digest(array: NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies the data of a fit; it outlives the data.

    Attributes
    ----------
    n_rows_data : int
        Rows of the data that were passed in.
    n_obs : int
        Rows used.
    rows, response : str
        Digests of the positions of the rows used and of the response.
    weights : str or None
        Digest of the prior weights; None when all are one.
    """

    n_rows_data: int
    n_obs: int
    rows: str
    response: str
    weights: str | None

    @classmethod
    def of(cls, design: Design) -> Fingerprint:
        """Take the fingerprint of a design."""
        m = design.matrices
        is_weighted = m.weights is not None and bool(np.any(m.weights != 1.0))
        return cls(
            design.spec.n_rows_data,
            m.n_obs,
            _digest(np.asarray(m.rows, dtype=np.int64)),
            _digest(np.asarray(m.y, dtype=np.float64) + 0.0),
            _digest(m.weights) if is_weighted and m.weights is not None else None,
        )

    def has_same_rows(self, other: Fingerprint) -> bool:
        """Whether the rows are the same, as far as can be known.

        Positions tell only within one table; ``data.dropna()`` has others than ``data``. There
        the response decides.
        """
        if self.n_obs != other.n_obs:
            return False
        return self.n_rows_data != other.n_rows_data or self.rows == other.rows
