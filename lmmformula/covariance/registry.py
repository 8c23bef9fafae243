"""The covariance structures of random effects, by the word that formulas use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance.correlated import Correlated
from lmmformula.covariance.correlation import (
    AutoRegressive,
    CompoundSymmetry,
    ContinuousAutoRegressive,
    EffectsCorrelation,
    Exponential,
    Independent,
    Toeplitz,
)
from lmmformula.covariance.correlation.base import distance
from lmmformula.covariance.diagonal import Diagonal
from lmmformula.covariance.structure import Structure
from lmmformula.covariance.unstructured import Unstructured

__all__ = ["STRUCTURES", "StructureKind", "correlated_kind", "make_structure", "variant"]

Over: TypeAlias = Literal["effects", "positions"]


@dataclass(frozen=True, slots=True)
class StructureKind:
    """A word of formulas and how its structure is made.

    Attributes
    ----------
    build : callable
        Makes the structure from the number of effects and their places, (k, d).
    family : str
        The word without a prefix for equal or different variances.
    homogeneous : bool
        Equal variances.
    over : {"effects", "positions"}
        Whether effects are columns or the distinct places of numeric coordinates.
    ordered : bool
        The order of the effects matters: they are successive times.
    decays : bool
        Correlations fall with the distance of two effects, which tells even as many effects as
        rows from the residual.
    """

    build: Callable[[FloatArray], Structure]
    family: str
    homogeneous: bool
    over: Over = "effects"
    ordered: bool = False
    decays: bool = False


def _unstructured(places: FloatArray) -> Structure:
    return Unstructured(len(places))


def _diagonal(places: FloatArray) -> Structure:
    return Diagonal(len(places))


def correlated_kind(
    word: str,
    family: str,
    correlation: type[EffectsCorrelation],
    *,
    hom: bool,
    over: Over = "effects",
    ordered: bool = False,
    decays: bool = False,
) -> StructureKind:
    """Make a row of ``STRUCTURES`` from a family of correlations.

    Parameters
    ----------
    word : str
        What formulas call it.
    family : str
        The word without a prefix for equal or different variances.
    correlation : type of EffectsCorrelation
    hom : bool
        Equal variances.
    over, ordered, decays
        As of ``StructureKind``.
    """

    def build(places: FloatArray) -> Structure:
        made = correlation(len(places), _spacing(places) if over == "positions" else 1.0)
        return Correlated(word, made, places, homogeneous=hom)

    return StructureKind(build, family, hom, over, ordered, decays)


def _spacing(places: FloatArray) -> float:
    """Typical distance of neighbours: the scale on which rates are looked for."""
    lag = distance(places[:, None], places[None])
    np.fill_diagonal(lag, np.inf)
    return float(np.median(lag.min(axis=1))) if len(places) > 1 else 1.0


STRUCTURES: dict[str, StructureKind] = {
    "us": StructureKind(_unstructured, "us", homogeneous=False),
    "diag": StructureKind(_diagonal, "diag", homogeneous=False),
    "homdiag": correlated_kind("homdiag", "diag", Independent, hom=True),
    "cs": correlated_kind("cs", "cs", CompoundSymmetry, hom=False),
    "homcs": correlated_kind("homcs", "cs", CompoundSymmetry, hom=True),
    "ar1": correlated_kind("ar1", "ar1", AutoRegressive, hom=True, ordered=True, decays=True),
    "hetar1": correlated_kind(
        "hetar1", "ar1", AutoRegressive, hom=False, ordered=True, decays=True
    ),
    "toep": correlated_kind("toep", "toep", Toeplitz, hom=False, ordered=True),
    "homtoep": correlated_kind("homtoep", "toep", Toeplitz, hom=True, ordered=True),
    "ou": correlated_kind(
        "ou", "ou", ContinuousAutoRegressive, hom=True, over="positions", decays=True
    ),
    "exp": correlated_kind("exp", "exp", Exponential, hom=True, over="positions", decays=True),
}


def make_structure(name: str, k: int, places: FloatArray | None = None) -> Structure:
    """Make a structure for k effects.

    Parameters
    ----------
    name : str
        Key of ``STRUCTURES``.
    k : int
    places : ndarray, shape (k, d), optional
        Coordinates of the effects; successive whole numbers by default.
    """
    if places is None:
        places = np.arange(float(k))[:, None]
    return STRUCTURES[name].build(places)


def variant(name: str, hom: bool) -> str | None:
    """Word of the same structure with equal (``hom``) or different variances; None without one."""
    family = STRUCTURES[name].family
    words = (word for word, kind in STRUCTURES.items() if kind.family == family)
    return next((word for word in words if STRUCTURES[word].homogeneous == hom), None)
