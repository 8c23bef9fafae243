r"""Rows at times or places where no effect was fitted: kriging from the fitted ones.

With :math:`\Sigma` the covariance of a level's effects at the fitted places and :math:`\Sigma_*`
that with the effects at new ones, the best prediction at a new place is
:math:`\Sigma_*\Sigma^{-1}b`, so the row's columns are :math:`w = \Sigma_*\Sigma^{-1}`; the part of
the effect that b does not tell has variance :math:`\Sigma_{**} - w\Sigma_*'`. Both change with the
covariance parameters, so they are computed anew wherever the criterion is.

References
----------
Cressie (1993), Statistics for Spatial Data, section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lmmformula._arrays import FloatArray, IntArray
from lmmformula.covariance import Correlated
from lmmformula.engine.alternative import AnySystem
from lmmformula.matrices import RandomBlock

__all__ = ["NewPlaces", "kriged", "kriging_weights", "new_places", "rows_without_effect"]


@dataclass(frozen=True, slots=True, eq=False)
class NewPlaces:
    """Rows of one term at places that were not fitted.

    Attributes
    ----------
    factor : int
        Number of the term's grouping factor, elimination order.
    columns : slice
        The term's effects among those of the factor.
    structure : Correlated
        Its covariance.
    unit : float
        Working units of its effects: a user's column times this is a working one.
    rows : ndarray of int, shape (m,)
    places : ndarray, shape (m, d)
        Coordinates of these rows.
    """

    factor: int
    columns: slice
    structure: Correlated
    unit: float
    rows: IntArray
    places: FloatArray

    def at(self, Lambda: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Columns of these rows, (m, k), and what remains of their variances, (m,).

        Parameters
        ----------
        Lambda : ndarray, shape (K, K)
            Relative factor of the grouping factor's effects, working units.
        """
        template = Lambda[self.columns, self.columns]
        weights, variance = kriging_weights(self.structure, template, self.places)
        return self.unit * weights, self.unit**2 * variance


def kriging_weights(
    structure: Correlated, template: FloatArray, places: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weights of the fitted effects at other places, and the variance that remains.

    Parameters
    ----------
    structure : Correlated
    template : ndarray, shape (k, k)
        A square factor of its covariance.
    places : ndarray, shape (m, d)

    Returns
    -------
    weights : ndarray, shape (m, k)
    variance : ndarray, shape (m,)
        In the template's units, squared.
    """
    different, which = np.unique(places, axis=0, return_inverse=True)
    weights, variance = structure.kriging(structure.from_template(template), different)
    which = which.reshape(-1)
    return weights[which], variance[which]


def rows_without_effect(z: FloatArray) -> IntArray:
    """Rows with zeros only: complete, and at a place that was not fitted."""
    return np.flatnonzero(np.all(z == 0.0, axis=1))


def new_places(
    system: AnySystem,
    random: Mapping[int, RandomBlock],
    places: Mapping[int, FloatArray | None],
) -> tuple[NewPlaces, ...]:
    """Find the rows that need kriging.

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
    random : mapping of int to RandomBlock
        Terms that take part, by position in the model.
    places : mapping of int to ndarray (n, d) or None
        Coordinates of the rows, for terms over times or places.
    """
    found: list[NewPlaces] = []
    for number, factor in enumerate(system.factors):
        for term in factor.terms:
            where = places.get(term.index)
            if where is None or not isinstance(term.structure, Correlated):
                continue
            rows = rows_without_effect(random[term.index].z)
            if len(rows):
                unit = float(system.basis.random[term.index][0, 0])
                parts = (number, term.columns, term.structure, unit, rows, where[rows])
                found.append(NewPlaces(*parts))
    return tuple(found)


def kriged(
    places: Sequence[NewPlaces], factor: int, z: FloatArray, Lambda: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Fill in the columns of rows at new places.

    Parameters
    ----------
    places : sequence of NewPlaces
    factor : int
        Number of the grouping factor.
    z : ndarray, shape (n, K)
        Its columns, working units.
    Lambda : ndarray, shape (K, K)

    Returns
    -------
    z : ndarray, shape (n, K)
        A copy where something was filled in.
    apart : ndarray, shape (n,)
        Variance of the effects given the fitted ones, for a level of variance one.
    """
    apart = np.zeros(len(z))
    own = [one for one in places if one.factor == factor]
    if own:
        z = z.copy()
    for one in own:
        weights, variance = one.at(Lambda)
        z[one.rows, one.columns] = weights
        apart[one.rows] += variance
    return z, apart
