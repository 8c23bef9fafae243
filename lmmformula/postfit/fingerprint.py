"""What identifies the data of a fit, without the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.design import Design
from lmmformula.design.digests import PositionsDigest, ValuesDigest

__all__ = ["Fingerprint"]


def _digest(array: FloatArray) -> str:
    digest = ValuesDigest()
    digest.add(array)
    return digest.text()


def _positions(rows: IntArray) -> str:
    digest = PositionsDigest()
    digest.add(rows)
    return digest.text()


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
            _positions(np.asarray(m.rows, dtype=np.int64)),
            _digest(np.asarray(m.y, dtype=np.float64)),
            _digest(m.weights) if is_weighted and m.weights is not None else None,
        )

    @classmethod
    def of_digests(
        cls, n_rows_data: int, n_obs: int, digests: tuple[str, str, str | None]
    ) -> Fingerprint:
        """Take the fingerprint of rows that have passed by, from their running digests.

        Parameters
        ----------
        n_rows_data, n_obs : int
            Rows of the data, and rows used.
        digests : tuple of (str, str, str or None)
            Of the rows used, the response and the weights.
        """
        return cls(n_rows_data, n_obs, *digests)

    def has_same_rows(self, other: Fingerprint) -> bool:
        """Whether the rows are the same, as far as can be known.

        Positions tell only within one table; ``data.dropna()`` has others than ``data``. There
        the response decides.
        """
        if self.n_obs != other.n_obs:
            return False
        return self.n_rows_data != other.n_rows_data or self.rows == other.rows
