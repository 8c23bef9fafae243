"""The engine: arrays in; criterion, derivatives and estimates out. It knows no formula."""

from lmmformula.engine.estimates import (
    Estimates,
    conditional_covariances,
    estimate,
    estimates_at,
)
from lmmformula.engine.information import (
    KenwardRogerPieces,
    VarianceInformation,
    kenward_roger_pieces,
    variance_information,
)
from lmmformula.engine.objective import Objective
from lmmformula.engine.system import BlockedSystem, assemble, replace_response

__all__ = [
    "BlockedSystem",
    "Estimates",
    "KenwardRogerPieces",
    "Objective",
    "VarianceInformation",
    "assemble",
    "conditional_covariances",
    "estimate",
    "estimates_at",
    "kenward_roger_pieces",
    "replace_response",
    "variance_information",
]
