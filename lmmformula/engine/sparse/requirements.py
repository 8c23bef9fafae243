"""What a sparse tail cannot give, refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmmformula.errors import OptionError

if TYPE_CHECKING:
    from lmmformula.engine.system import BlockedSystem

__all__ = ["require_dense_tail"]


def require_dense_tail(system: BlockedSystem, what: str, instead: str) -> None:
    """Raise where the crossed factors are kept sparse.

    Parameters
    ----------
    system : BlockedSystem
    what : str
        What needs the joint covariance of all levels, as the subject of a sentence.
    instead : str
        What can be pasted or done.

    Raises
    ------
    OptionError
        With the attributes ``needs`` and ``groups``.
    """
    if system.tail.kind != "sparse":
        return
    groups = tuple(factor.group for factor in system.tail.factors)
    sizes = ", ".join(f"{factor.group}: {factor.n_columns}" for factor in system.tail.factors)
    named = " and ".join(f"`{group}`" for group in groups)
    raise OptionError(
        f"{what} needs the joint covariance of all levels of {named}; a sparse fit computes only "
        "those entries that the data couple.",
        got=f"random effects {sizes}, kept sparse",
        suggestion=instead,
        needs=what,
        groups=groups,
    )
