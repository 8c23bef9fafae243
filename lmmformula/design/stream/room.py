"""Memory for what cannot be computed in pieces, asked for before it is used."""

from __future__ import annotations

from lmmformula._memory import available_memory
from lmmformula.errors import DataError

__all__ = ["Room"]

SHARE = 0.8
"""Share of the available memory that may be used."""


class Room:
    """Counts the bytes that columns take that must be whole in memory.

    Parameters
    ----------
    n_rows : int or None
        Rows of the stream, where they are known.
    """

    def __init__(self, n_rows: int | None) -> None:
        self.n_rows = n_rows
        self.taken = 0

    def check(self, n_bytes: int, what: str) -> None:
        """Refuse what would not fit.

        Raises
        ------
        DataError
            With the estimate and what there is.
        """
        available = available_memory()
        if available is None or n_bytes <= SHARE * available:
            return
        raise DataError(
            f"`{what}` needs a whole column at once, and there is not enough memory for it.",
            got=f"about {n_bytes / 1e9:.2f} GB needed, {available / 1e9:.2f} GB available",
            suggestion="give knots or limits in the formula (`ns(x, knots=c(...), "
            "Boundary.knots=c(...))`), or compute the columns beforehand",
            expression=what,
            needed=n_bytes,
            available=available,
        )

    def take(self, n_bytes: int, what: str) -> None:
        """Count bytes that are kept, and refuse those beyond what there is."""
        self.taken += n_bytes
        self.check(n_bytes, what)
