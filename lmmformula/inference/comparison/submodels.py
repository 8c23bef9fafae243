"""Models with one term less, made from the matrices of a fit: only what changes is made anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.design import Design, DesignSpec
from lmmformula.design.encode import Aliased
from lmmformula.design.rank import split_by_rank
from lmmformula.design.spec import RandomSpec
from lmmformula.design.terms import FormulaPart, PartTerm
from lmmformula.engine import BlockedSystem, assemble, estimate
from lmmformula.engine.threads import limited_threads
from lmmformula.errors import DesignError
from lmmformula.inference.comparison.recoding import droppable, encoding_of, recoded, without
from lmmformula.matrices import ModelMatrices, RandomBlock
from lmmformula.optimize import OptimumStatus, minimize

__all__ = ["Submodel", "SubmodelFit", "fit_submodel", "random_reductions", "without_fixed"]

REDUCIBLE = ("us", "diag")
"""Structures that keep their meaning when an effect is taken out."""


@dataclass(frozen=True, slots=True, eq=False)
class Submodel:
    """A model with one term less.

    Attributes
    ----------
    label : str
        What was taken out: ``Days in (Days | Subject)``, ``(1 | Subject)``, ``recipe``.
    formula : str
        The formula that is left.
    matrices : ModelMatrices
        Its design, with the full model's residuals; without random terms it is a linear model.
    """

    label: str
    formula: str
    matrices: ModelMatrices


@dataclass(frozen=True, slots=True, eq=False)
class SubmodelFit:
    """A fitted submodel.

    Attributes
    ----------
    objective : float
        Criterion at the optimum.
    npar : int
        Number of parameters.
    converged : bool
        Whether a minimum was proved.
    system : BlockedSystem or None
        Cross-products; None for a linear model.
    templates : tuple of ndarray
        Relative covariance factors by term.
    """

    objective: float
    npar: int
    converged: bool
    system: BlockedSystem | None
    templates: tuple[FloatArray, ...]


def fit_submodel(model: Submodel, results: Any, *, reml: bool) -> SubmodelFit:
    """Fit by the criterion wanted, with the optimizer of the full model.

    Parameters
    ----------
    model : Submodel
        The model.
    results : LinearMixedResults
        Fit of the full model.
    reml : bool
        Restricted likelihood.
    """
    matrices = model.matrices
    if not matrices.random and matrices.residual is None:
        value = estimate(assemble([matrices]), np.zeros(0), reml).objective
        return SubmodelFit(value, matrices.p + 1, True, None, ())
    with limited_threads():
        system = assemble([matrices])
        optimum, found = minimize(system, reml, optimizer=results.optimum.settings)
    converged = optimum.status is OptimumStatus.CONVERGED
    npar = matrices.p + found.n_theta + 1
    return SubmodelFit(found.objective, npar, converged, system, found.templates)


def random_reductions(design: Design, *, reduce_terms: bool) -> Iterator[Submodel]:
    """Every model with a random effect or a random-effects term less, in the formula's order.

    Parameters
    ----------
    design : Design
        The full design, with its rows.
    reduce_terms : bool
        Take one effect out of a term that has several; otherwise take out whole terms.
    """
    for position in _formula_order(design.spec):
        item = design.spec.random[position]
        candidates = droppable(item.part) if reduce_terms else ()
        if not candidates or item.term.structure not in REDUCIBLE:
            yield _with_random(design, position, None, item.term.text)
            continue
        for term in candidates:
            block = _reduced_block(design, position, term)
            left = None if _is_elsewhere(design, position, block) else block
            yield _with_random(design, position, left, f"{_label(item, term)} in {item.term.text}")


def without_fixed(design: Design, term: PartTerm) -> Submodel:
    """Return the model without a term of the fixed effects.

    Parameters
    ----------
    design : Design
        The full design, with its rows.
    term : PartTerm
        One of ``design.spec.part.terms`` that no other contains.
    """
    spec, m = design.spec, design.matrices
    part = without(spec.part, term, intercept=spec.part.intercept)
    known, X = spec.encoding, m.X
    if spec.aliased is not None:
        known, X = _with_aliased(spec, spec.aliased), np.hstack([X, X @ spec.aliased.coefficients])
    encoding = encoding_of(part, known, spec.variables)
    columns = recoded(encoding.keys, known.keys, X, spec.variables)
    label = _fixed_label(spec, term)
    if columns is None:
        raise _cannot_recode(label, spec.formula.text)
    names = encoding.names
    if spec.aliased is not None:
        split = split_by_rank(columns, columns.T @ columns)
        columns = columns[:, list(split.kept)]
        names = tuple(names[j] for j in split.kept)
    matrices = replace(m, X=np.asfortranarray(columns), fixed_names=names)
    random = [spec.random[i].term.text for i in _formula_order(spec)]
    return Submodel(label, _formula(spec, part, random), matrices)


def _with_aliased(spec: DesignSpec, aliased: Aliased) -> Any:
    keys = (*spec.encoding.keys, *aliased.keys)
    return replace(spec.encoding, names=(*spec.encoding.names, *spec.dropped_columns), keys=keys)


def _reduced_block(design: Design, position: int, term: PartTerm) -> RandomBlock:
    """Return a block without one term of its effects; ``(0 + f | g)`` becomes ``(1 | g)``."""
    item, block = design.spec.random[position], design.matrices.random[position]
    is_only = len(item.part.terms) == 1
    part = without(item.part, term, intercept=item.part.intercept or is_only)
    encoding = encoding_of(part, item.encoding, design.spec.variables)
    z = recoded(encoding.keys, item.encoding.keys, block.z, design.spec.variables)
    if z is None:
        raise _cannot_recode(_label(item, term), item.term.text)
    return replace(
        block,
        z=np.asfortranarray(z),
        effect_names=encoding.names,
        text=_term_text(item, part),
    )


def _is_elsewhere(design: Design, position: int, block: RandomBlock) -> bool:
    """Whether another term of the same factor has these effects already, as the parts of ``||``."""
    return any(
        other.group == block.group and set(block.effect_names) <= set(other.effect_names)
        for i, other in enumerate(design.matrices.random)
        if i != position
    )


def _with_random(design: Design, position: int, block: RandomBlock | None, label: str) -> Submodel:
    spec, blocks = design.spec, list(design.matrices.random)
    texts = {i: item.term.text for i, item in enumerate(spec.random)}
    if block is None:
        del texts[position]
    else:
        texts[position] = block.text
    blocks[position : position + 1] = [] if block is None else [block]
    kept = [texts[i] for i in _formula_order(spec) if i in texts]
    matrices = replace(design.matrices, random=tuple(blocks))
    return Submodel(label, _formula(spec, spec.part, kept), matrices)


def _formula_order(spec: DesignSpec) -> list[int]:
    """Positions of the terms in the order of the formula."""
    left = list(range(len(spec.random)))
    order = []
    for term in spec.formula.random:
        position = next(i for i in left if spec.random[i].term == term)
        left.remove(position)
        order.append(position)
    return order


def _label(item: RandomSpec, term: PartTerm) -> str:
    return ":".join(item.part.labels.get(name, name) for name in term.factors)


def _fixed_label(spec: DesignSpec, term: PartTerm) -> str:
    """Return the name under which results list a term."""
    listed = [found.label for found in spec.fixed_terms if found.variables]
    return listed[spec.part.terms.index(term)]


def _sum(labels: Sequence[str], *, intercept: bool) -> str:
    if not labels:
        return "1" if intercept else "0"
    return " + ".join(labels if intercept else ["0", *labels])


def _term_text(item: RandomSpec, part: FormulaPart) -> str:
    text = item.term.text
    prefix, group = text[: text.index("(")], text.rpartition("|")[2].strip()
    effects = _sum([term.label for term in part.terms], intercept=part.intercept)
    return f"{prefix}({effects} | {group}"


def _formula(spec: DesignSpec, part: FormulaPart, random: Sequence[str]) -> str:
    labels = [term.label for term in part.terms]
    labels += [f"offset({text})" for text in spec.formula.offsets]
    fixed = _sum(labels, intercept=part.intercept)
    return f"{spec.response_name} ~ {' + '.join([fixed, *random])}"


def _cannot_recode(term: str, where: str) -> DesignError:
    return DesignError(
        f"without `{term}` the other terms need columns that this fit does not have.",
        got=f"`{where}`",
        suggestion="fit the smaller model from its formula, and compare by `lf.anova`",
        term=term,
    )
