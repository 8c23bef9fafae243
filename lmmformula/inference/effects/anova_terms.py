r"""Hypotheses of analysis-of-variance tables: which combinations of effects each term tests.

Type I are the rows of the unit triangular factor of :math:`X'X`: each column less what earlier
ones explain. Type II does the same with the term and the terms that contain it moved to the end.
Type III starts from the estimable functions of the overparametrized model (a column per level of
every factor) and makes those of a term orthogonal to those of the terms that contain it, so that
the hypotheses do not depend on how factors are coded: in complete data they compare means with
equal weights. A term contains another if it has the same numeric variables and all of its
factors, and more.

References
----------
Goodnight (1978), SAS Technical Report R-101 and R-102 (types of estimable functions).
Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from lmmformula._arrays import FloatArray
from lmmformula.design import Design
from lmmformula.design.rank import triangular_factor
from lmmformula.inference.effects.full_coding import FullCoding, full_coding

__all__ = ["Hypotheses", "hypotheses"]

ZERO = 1e-8
ROUNDING = 1e-11


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """What the terms of a model test.

    Attributes
    ----------
    rows : dict of str to ndarray, shape (m, p)
        Combinations of the fixed effects, by label of the term; no rows where nothing can be
        estimated.
    empty_cells : tuple of str
        Combinations of levels without data (type III only).
    """

    rows: dict[str, FloatArray]
    empty_cells: tuple[str, ...] = ()


def hypotheses(design: Design, kind: str, factor: FloatArray | None = None) -> Hypotheses:
    """Hypotheses of every term but the intercept.

    Parameters
    ----------
    design : Design
        The fitted design, with its rows unless ``factor`` is given.
    kind : {"I", "II", "III"}
        Their type.
    factor : ndarray, shape (p, p), optional
        R of X = QR, where it is known already.
    """
    terms = _Terms(design, _triangular(design.matrices.X) if factor is None else factor)
    if kind == "I" or len(terms.labels) <= 1 or terms.p <= 1:
        return Hypotheses(terms.sequential())
    if kind == "II":
        return Hypotheses(terms.adjusted())
    coding = full_coding(design)
    return Hypotheses(terms.balanced(coding), coding.empty_cells(terms.factor))


class _Terms:
    """Terms, their columns, and the triangular factor of X."""

    def __init__(self, design: Design, factor: FloatArray) -> None:
        spec = design.spec
        self.p, self.factor = design.matrices.p, factor
        listed = [term for term in spec.fixed_terms if term.variables]
        self.labels = [term.label for term in listed]
        self.columns = {term.label: list(term.columns) for term in listed}
        factors = set(spec.factors)
        variables = {term.label: frozenset(term.variables) for term in listed}
        self.sizes = {label: len(names) for label, names in variables.items()}
        self.containing = {
            label: [
                other
                for other, more in variables.items()
                if names < more and names - factors == more - factors
            ]
            for label, names in variables.items()
        }

    def sequential(self) -> dict[str, FloatArray]:
        """Type I."""
        rows = _unit(self.factor)
        return {label: rows[self.columns[label]] for label in self.labels}

    def adjusted(self) -> dict[str, FloatArray]:
        """Type II; a term that no other contains is tested as its effects stand."""
        out = {}
        for label in self.labels:
            containing = self.containing[label]
            if not containing:
                out[label] = np.eye(self.p)[self.columns[label]]
                continue
            last = [j for name in (label, *containing) for j in self.columns[name]]
            order = [j for j in range(self.p) if j not in set(last)] + sorted(last)
            turned = np.zeros((self.p, self.p))
            turned[:, order] = _unit(_triangular(self.factor[:, order]))
            position = {j: i for i, j in enumerate(order)}
            out[label] = turned[[position[j] for j in self.columns[label]]]
        return out

    def balanced(self, coding: FullCoding) -> dict[str, FloatArray]:
        """Type III, from the overparametrized model's estimable functions."""
        kept = coding.treatment_columns(self.factor)
        to_treatment = _cleaned(
            np.asarray(np.linalg.inv(coding.columns[:, kept]), dtype=np.float64)
        )
        functions = _cleaned(to_treatment @ coding.columns)
        position = {
            label: [i for i, j in enumerate(kept) if coding.labels[j] == label]
            for label in self.labels
        }
        for label in sorted(self.labels, key=self.sizes.__getitem__, reverse=True):
            above = [i for name in self.containing[label] for i in position[name]]
            if above and position[label]:
                own, others = functions[position[label]], functions[above]
                functions[position[label]] = own - _projected(own, others)
        out = {}
        for label in self.labels:
            rows = _cleaned(functions[position[label]][:, kept])
            out[label] = rows[np.abs(rows).sum(axis=1) > ZERO] @ to_treatment
        return out


def _cleaned(matrix: FloatArray) -> FloatArray:
    """Zero for entries that are rounding errors, which the units of effects could blow up."""
    matrix[np.abs(matrix) < ROUNDING] = 0.0
    return matrix


def _projected(rows: FloatArray, onto: FloatArray) -> FloatArray:
    """Projection of every row on the span of others."""
    _, sizes, right = np.linalg.svd(onto, full_matrices=False)
    basis = right[sizes > ZERO * sizes[0]] if sizes.size else right
    return np.asarray(rows @ basis.T @ basis)


def _triangular(X: FloatArray) -> FloatArray:
    """R of the QR factorization of X, in its own units."""
    norms = np.sqrt(np.einsum("ij,ij->j", X, X))
    norms[norms == 0.0] = 1.0
    factor = triangular_factor(X, norms) * norms
    return np.asarray(scipy.linalg.qr(factor, mode="r")[0]) if len(factor) < X.shape[1] else factor


def _unit(factor: FloatArray) -> FloatArray:
    """Rows of a triangular factor with ones on the diagonal."""
    return np.asarray(factor / np.diagonal(factor)[:, None])
