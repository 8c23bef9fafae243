"""The engine: arrays in; criterion, derivatives and estimates out. It knows no formula."""

from lmmformula.engine.estimates import (
    Estimates,
    conditional_covariances,
    estimate,
    estimates_at,
)
from lmmformula.engine.objective import Objective
from lmmformula.engine.system import BlockedSystem, assemble, replace_response

__all__ = [
    "BlockedSystem",
    "Estimates",
    "Objective",
    "assemble",
    "conditional_covariances",
    "estimate",
    "estimates_at",
    "replace_response",
]
