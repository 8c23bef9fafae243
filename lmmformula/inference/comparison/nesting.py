"""Whether every covariance and every mean of one model is also one of another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import make_structure
from lmmformula.errors import OptionError
from lmmformula.inference.comparison.residual_nesting import (
    residuals_are_nested,
    with_exchangeable_residuals,
)
from lmmformula.inference.comparison.structure_match import (
    has_structures,
    match_terms,
    random_covariances,
)
from lmmformula.matrices import ModelMatrices, RandomBlock

__all__ = ["check_nested"]

TOLERANCE = 1e-7
N_PROBES = 4
N_DRAWS = 12


def check_nested(small: ModelMatrices, large: ModelMatrices, labels: tuple[str, str]) -> None:
    """Raise unless the smaller model is a special case of the larger.

    Parameters
    ----------
    small, large : ModelMatrices
        Designs on the same rows.
    labels : tuple of str
        Names of the two, for the error.

    Raises
    ------
    OptionError
        A fixed effect of ``small`` is no combination of those of ``large``, or a covariance that
        ``small`` allows is none that ``large`` allows.

    Notes
    -----
    Covariances are compared as linear maps of a few random vectors: those of ``small`` must be
    linear combinations of those of ``large`` and of the identity, and positive semidefinite ones
    must have positive semidefinite coefficients there. Where the larger model has terms with a
    correlation function, terms are matched one by one (module ``structure_match``).
    """
    outside = _columns_outside(small, large)
    if outside:
        raise _not_nested(labels, f"fixed effects {', '.join(f'`{n}`' for n in outside)}")
    small = with_exchangeable_residuals(small, large)
    if not residuals_are_nested(small.residual, large.residual):
        raise _not_nested(labels, "the residuals' structure")
    terms = _terms_outside(small, large)
    if terms:
        raise _not_nested(labels, f"random effects {', '.join(f'`{t}`' for t in terms)}")


def _not_nested(labels: tuple[str, str], what: str) -> OptionError:
    return OptionError(
        "the models are not nested: the larger one does not contain the smaller.",
        got=f"{what} of `{labels[0]}` are outside `{labels[1]}`",
        suggestion="compare models of which one is a special case of the other, the smaller first; "
        "information criteria need no nesting",
        models=labels,
    )


def _columns_outside(small: ModelMatrices, large: ModelMatrices) -> list[str]:
    Q, _ = np.linalg.qr(large.X)
    rest = small.X - Q @ (Q.T @ small.X)
    size = np.linalg.norm(small.X, axis=0)
    gap = np.linalg.norm(rest, axis=0) > TOLERANCE * np.maximum(size, 1e-300)
    return [name for name, far in zip(small.fixed_names, gap.tolist(), strict=True) if far]


def _terms_outside(small: ModelMatrices, large: ModelMatrices) -> list[str]:
    """Terms of ``small`` whose covariances are none of ``large``."""
    if has_structures(large.random):
        if match_terms(small.random, large.random) is not None:
            return []
        alone = [b.text for b in small.random if match_terms([b], large.random) is None]
        return alone or [block.text for block in small.random]
    if not small.random:
        return []
    rng = np.random.default_rng(0)
    probes = rng.standard_normal((small.n_obs, N_PROBES))
    images = [
        _apply(block, D, probes).ravel() for block in large.random for D in _directions(block)
    ]
    basis = np.stack([*images, probes.ravel()], axis=1)
    basis /= np.linalg.norm(basis, axis=0)
    scale = np.array([np.linalg.norm(image) for image in images])
    Q, R = np.linalg.qr(basis)
    size = np.abs(np.diag(R))
    is_unique = size.min() > TOLERANCE
    found = []
    for block in small.random:
        for D in _draws(block, rng):
            image = _apply(block, D, probes).ravel()
            inside = Q.T @ image
            gap = np.linalg.norm(image - Q @ inside)
            if gap > TOLERANCE * np.linalg.norm(image):
                found.append(block.text)
                break
            entries = np.linalg.lstsq(R, inside, rcond=1e-10)[0][:-1] / scale
            if is_unique and not _is_semidefinite(large, entries):
                found.append(block.text)
                break
    return found


def _apply(block: RandomBlock, D: FloatArray, values: FloatArray) -> FloatArray:
    """Z (K x D) Z' times ``values``, (n, t), with K the relationship between the levels."""
    sums = np.zeros((block.n_levels, block.n_effects, values.shape[1]))
    for a in range(block.n_effects):
        for t in range(values.shape[1]):
            sums[:, a, t] = np.bincount(block.codes, block.z[:, a] * values[:, t], block.n_levels)
    if block.relationship is not None:
        L = block.relationship
        sums = np.tensordot(L, np.tensordot(L.T, sums, 1), 1)
    moved = np.einsum("ab,jbt->jat", D, sums)
    return np.asarray(np.einsum("na,nat->nt", block.z, moved[block.codes]))


def _directions(block: RandomBlock) -> Iterator[FloatArray]:
    """Symmetric unit directions of a term's covariance."""
    structure = make_structure(block.structure, block.n_effects, block.positions)
    k = block.n_effects
    for i, j, free in zip(*structure.pairs, structure.free_entries, strict=True):
        if free:
            D = np.zeros((k, k))
            D[i, j] = D[j, i] = 1.0
            yield D


def _draws(block: RandomBlock, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Covariances that the term allows, of rank one where it can."""
    structure = make_structure(block.structure, block.n_effects, block.positions)
    if structure.reduced:
        yield from random_covariances(structure, rng)
        return
    if structure.name == "diag":
        for i in range(block.n_effects):
            D = np.zeros((block.n_effects, block.n_effects))
            D[i, i] = 1.0
            yield D
        return
    for _ in range(N_DRAWS if block.n_effects > 1 else 1):
        v = rng.standard_normal(block.n_effects)
        yield np.outer(v, v)


def _is_semidefinite(large: ModelMatrices, entries: FloatArray) -> bool:
    """Whether the coefficients are covariances that the larger model's terms allow."""
    position = 0
    for block in large.random:
        total = np.zeros((block.n_effects, block.n_effects))
        for D in _directions(block):
            total += entries[position] * D
            position += 1
        size = np.abs(total).max()
        if np.linalg.eigvalsh(total)[0] < -1e-5 * max(size, float(np.abs(entries).max())):
            return False
    return True
