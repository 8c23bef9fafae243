"""What is planned to be tested: a fixed effect, a term, a linear constraint, or a random effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import scipy.linalg

from lmmformula._arrays import FloatArray
from lmmformula.design import Design
from lmmformula.design.sources import closest_name, listed
from lmmformula.errors import DesignError, OptionError
from lmmformula.inference.comparison.submodels import Submodel, random_reductions
from lmmformula.inference.effects.anova_terms import hypotheses
from lmmformula.inference.effects.contrasts import constraint_matrix
from lmmformula.matrices import ModelMatrices

__all__ = ["FixedHypothesis", "Hypothesis", "RandomHypothesis", "find_hypothesis"]


@dataclass(frozen=True, slots=True, eq=False)
class FixedHypothesis:
    """Linear combinations of the fixed effects that are zero, or have given values.

    Attributes
    ----------
    label : str
        What the caller wrote, or how a result would print it.
    rows : ndarray, shape (m, p)
    values : ndarray, shape (m,)
    coefficient : str or None
        Name of the fixed effect where it is a single one.
    """

    label: str
    rows: FloatArray
    values: FloatArray
    coefficient: str | None = None

    @property
    def df(self) -> int:
        """Number of independent combinations."""
        return int(np.linalg.matrix_rank(self.rows))

    def restricted(self, matrices: ModelMatrices) -> ModelMatrices:
        """Return the design in which the hypothesis holds."""
        start = np.linalg.lstsq(self.rows, self.values, rcond=None)[0]
        free = scipy.linalg.null_space(self.rows)
        offset = matrices.offset
        if np.any(start != 0.0):
            shift = matrices.X @ start
            offset = shift if offset is None else offset + shift
        names = tuple(f"free_{j + 1}" for j in range(free.shape[1]))
        X = np.asfortranarray(matrices.X @ free)
        return replace(matrices, X=X, fixed_names=names, offset=offset)


@dataclass(frozen=True, slots=True, eq=False)
class RandomHypothesis:
    """A random effect that the model can do without.

    Attributes
    ----------
    label : str
        As ``ranova`` names its row.
    submodel : Submodel
        The model without it.
    """

    label: str
    submodel: Submodel

    def restricted(self, matrices: ModelMatrices) -> ModelMatrices:
        """Return the design in which the hypothesis holds."""
        return replace(matrices, random=self.submodel.matrices.random)


Hypothesis: TypeAlias = FixedHypothesis | RandomHypothesis


def find_hypothesis(design: Design, term: Any) -> Hypothesis:
    """Find what ``term`` means.

    Parameters
    ----------
    design : Design
        The planned design, with rows.
    term : str or constraint
        The name of a coefficient; else the label of a term of the fixed effects, whose type III
        hypothesis is tested; else a random-effects term as written, or a row of ``ranova``; else
        a linear constraint in any form that ``t_test`` takes.

    Raises
    ------
    OptionError
        It is none of these.
    DesignError
        The planned rows say nothing about it.
    """
    names = design.matrices.fixed_names
    if isinstance(term, str):
        text = term.strip()
        if text in names:
            row = np.eye(len(names))[[names.index(text)]]
            return FixedHypothesis(text, row, np.zeros(1), text)
        labels = [t.label for t in design.spec.fixed_terms if t.variables]
        if text in labels:
            return _of_term(design, text)
        random = _random(design)
        found = random.get(_squeezed(text))
        if found is not None:
            return RandomHypothesis(found.label, found)
        if "=" not in text:
            raise _unknown(text, [*names, *labels, *(m.label for m in random.values())])
    rows, values = constraint_matrix(term, names, design.spec.dropped_columns)
    label = term if isinstance(term, str) else f"{len(rows)} linear constraints"
    return FixedHypothesis(label, rows, np.array(values))


def _of_term(design: Design, label: str) -> FixedHypothesis:
    rows = hypotheses(design, "III").rows[label]
    if not len(rows):
        raise DesignError(
            f"no effect of `{label}` can be estimated from the planned rows.",
            got="other terms determine it",
            suggestion="more levels in `levels=`, or another formula",
            term=label,
        )
    return FixedHypothesis(label, rows, np.zeros(len(rows)))


def _random(design: Design) -> dict[str, Submodel]:
    """Every random effect that can be taken out, by its text without spaces."""
    found: dict[str, Submodel] = {}
    for reduce_terms in (False, True):
        for model in random_reductions(design, reduce_terms=reduce_terms):
            found.setdefault(_squeezed(model.label), model)
    return found


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _unknown(text: str, available: Sequence[str]) -> OptionError:
    closest = closest_name(text, available)
    near = f"; closest is `{closest}`" if closest else ""
    unique = tuple(dict.fromkeys(available))
    return OptionError(
        f"`{text}` is neither a fixed effect nor a random-effects term of the model.",
        got=f"`term={text!r}`{near} (available: {listed(unique)})",
        suggestion=f'`term={closest or unique[0]!r}`, or a constraint such as `"{unique[0]} = 0"`',
        argument="term",
        closest=closest,
        available=unique,
    )
