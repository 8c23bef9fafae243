"""Optimizers by name."""

from __future__ import annotations

from lmmformula.errors import OptionError
from lmmformula.optimize.foreign import Cobyqa, Lbfgsb
from lmmformula.optimize.newton import Newton
from lmmformula.optimize.records import Optimizer

__all__ = ["OPTIMIZERS", "resolve_optimizer"]

OPTIMIZERS: dict[str, type[Optimizer]] = {"newton": Newton, "lbfgsb": Lbfgsb, "cobyqa": Cobyqa}


def resolve_optimizer(choice: str | Optimizer | None) -> Optimizer:
    """Settings from a name, settings, or None (the default)."""
    if choice is None:
        return Newton()
    if isinstance(choice, Optimizer):
        return choice
    if isinstance(choice, str) and choice in OPTIMIZERS:
        return OPTIMIZERS[choice]()
    raise OptionError(
        "`optimizer` is not one that lmmformula knows.",
        got=repr(choice),
        suggestion="one of " + ", ".join(repr(name) for name in OPTIMIZERS),
        available=tuple(OPTIMIZERS),
    )
