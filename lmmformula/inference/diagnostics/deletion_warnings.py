"""What is said about units that cannot be left out, or not surely."""

from __future__ import annotations

import pandas as pd

from lmmformula.design.notify import notify
from lmmformula.errors import ConvergenceWarning, RankWarning

__all__ = ["warn_lost", "warn_unsure"]

_SHOWN = 5


def warn_lost(labels: pd.Index) -> None:
    """Warn that nothing can be said about some units."""
    notify(
        RankWarning(
            f"the fixed effects cannot be estimated without some units ({len(labels)}); "
            "their influence is NaN.",
            got=_listed(labels),
            suggestion="these units alone tell about a coefficient: look at their rows",
            units=tuple(labels),
        )
    )


def warn_unsure(labels: pd.Index) -> None:
    """Warn that some refits are not proven."""
    notify(
        ConvergenceWarning(
            f"the refits without some units ({len(labels)}) did not prove a minimum; their "
            "influence is not sure, or NaN.",
            got=_listed(labels),
            suggestion="`influence(by, exact=False)`, which keeps the covariance parameters",
            units=tuple(labels),
        )
    )


def _listed(labels: pd.Index) -> str:
    shown = ", ".join(f"`{label}`" for label in labels[:_SHOWN])
    return f"{shown} and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else shown
