"""What a larger model adds to a smaller one where terms or residuals have a structure."""

from __future__ import annotations

from lmmformula.covariance import STRUCTURES
from lmmformula.inference.comparison.random_change import RandomChange, random_change
from lmmformula.inference.comparison.structure_match import has_structures, match_terms
from lmmformula.matrices import ModelMatrices, RandomBlock

__all__ = ["change_of"]

RESIDUALS_AT_END = {"car1": "a correlation of zero is the end of the range of `{}`"}


def change_of(small: ModelMatrices, large: ModelMatrices) -> RandomChange:
    """Parameters that the larger of two nested models adds; ``n_free`` is that of its terms only.

    Parameters
    ----------
    small, large : ModelMatrices
        Designs that are known to be nested; rows may be gone.

    Notes
    -----
    Parameters of a structure that the smaller model holds inside their range (a correlation of
    zero, equal variances) may move either way, so they are like covariances. A correlation that it
    holds at one, or one of effects that do not vary in it, has no known mixture.
    """
    residual = large.residual
    word = residual.correlation if residual is not None else None
    if word in RESIDUALS_AT_END and small.residual is None and residual is not None:
        return RandomChange(reason=RESIDUALS_AT_END[word].format(residual.text))
    if not has_structures((*small.random, *large.random)):
        return random_change(small.random, large.random, is_nested=True)
    return _structured(small.random, large.random)


def _structured(small: tuple[RandomBlock, ...], large: tuple[RandomBlock, ...]) -> RandomChange:
    match = match_terms(small, large)
    if match is None:
        return RandomChange(reason="the random effects of the two models cannot be matched")
    plain = [i for i, j in enumerate(match.place) if not has_structures([small[i], large[j]])]
    kept = [i for i in range(len(small)) if i not in plain]
    hidden = {match.place[i] for i in kept}
    for j in match.at_end:
        if j in hidden:
            return RandomChange(
                reason=f"the smaller model holds a parameter of `{large[j].text}` at the end of "
                "its range"
            )
    variances, others = [], []
    for j, block in enumerate(large):
        if j in hidden:
            continue
        if j not in match.new or not has_structures([block]):
            others.append(j)
        elif STRUCTURES[block.structure].family == "diag" or block.n_effects == 1:
            variances.append((j, 0))
        else:
            return RandomChange(
                reason=f"the correlation of `{block.text}` is not defined where its variance is "
                "zero"
            )
    change = random_change([small[i] for i in plain], [large[j] for j in others], is_nested=True)
    if change.reason:
        return change
    back = {(others[j], a): (plain[i], b) for (j, a), (i, b) in change.matched.items()}
    added = tuple((others[j], a) for j, a in change.variances)
    n = change.n_variances + len(variances)
    if n > 1:
        return RandomChange(reason=f"{n} variances are tested at once beside structured terms")
    return RandomChange(change.n_free, (*added, *variances), back, n)
