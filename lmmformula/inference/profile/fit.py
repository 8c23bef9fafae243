"""What a profile starts from: the parameters by name, and the maximum likelihood fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from lmmformula.covariance import Correlated, parameter_names
from lmmformula.engine import BlockedSystem, Estimates, Objective
from lmmformula.engine.held import Held
from lmmformula.engine.layout import TermLayout
from lmmformula.errors import ConvergenceWarning, OptionError
from lmmformula.inference.profile.points import CERTIFIED, Fit
from lmmformula.optimize import Optimum, OptimumStatus, minimize

__all__ = ["fit_by_ml", "parameters_of", "selected", "unproved_fit"]

GROUPS: dict[str, tuple[str, ...]] = {
    "random": ("sd", "cor", "rho", "sigma"),
    "residual": ("residual", "sigma"),
    "fixed": ("fixed",),
}
"""Words that stand for several parameters, and their kinds."""


def parameters_of(system: BlockedSystem, fixed_names: Sequence[str]) -> dict[str, Held]:
    """All parameters in lme4's order: theta's (the residuals' last), sigma, fixed effects.

    Parameters
    ----------
    system : BlockedSystem
    fixed_names : sequence of str, length p

    Returns
    -------
    dict of str to Held
        Names as in ``VarCorr.parameters``; one that occurs twice has ``.1`` after it.
    """
    terms = system.terms
    names = parameter_names(
        [term.structure for term in terms],
        [term.effect_names for term in terms],
        [term.group for term in terms],
    )
    named = [item for term, own in zip(terms, names, strict=True) for item in _of_term(term, own)]
    named += _of_residuals(system)
    named.append(("sigma", Held("sigma")))
    named += [(name, Held("fixed", column=j)) for j, name in enumerate(fixed_names)]
    parameters: dict[str, Held] = {}
    seen: Counter[str] = Counter()
    for name, held in named:
        parameters[f"{name}.{seen[name]}" if seen[name] else name] = held
        seen[name] += 1
    return parameters


def _of_term(term: TermLayout, names: Sequence[str]) -> Iterator[tuple[str, Held]]:
    """Natural parameters in their order."""
    index, structure = term.index, term.structure
    has_ends = isinstance(structure, Correlated) and structure.family.closed
    parameters = structure.natural_parameters(term.effect_names)
    for position, (name, parameter) in enumerate(zip(names, parameters, strict=True)):
        if parameter.kind == "sd":
            yield name, Held("sd", index, parameter.effects or (0,))
        elif parameter.effects:
            yield name, Held("cor", index, parameter.effects)
        else:
            limits = parameter.limits
            held = Held("rho", index, position=position, limits=limits, has_ends=has_ends)
            yield name, held


def _of_residuals(system: BlockedSystem) -> list[tuple[str, Held]]:
    if system.residual is None:
        return []
    covariance = system.residual.covariance
    named = zip(covariance.names, covariance.limits, strict=True)
    return [
        (name, Held("residual", position=position, limits=limits))
        for position, (name, limits) in enumerate(named)
    ]


def selected(which: str | Sequence[str], parameters: Mapping[str, Held]) -> list[str]:
    """Names that ``which`` asks for, in the order of the tables.

    Raises
    ------
    OptionError
        A name that the model does not have.
    """
    wanted = [which] if isinstance(which, str) else list(which)
    chosen: set[str] = set()
    for name in wanted:
        if name in parameters:
            chosen.add(name)
        elif name in GROUPS:
            chosen |= {other for other, held in parameters.items() if held.kind in GROUPS[name]}
        else:
            raise OptionError(
                f"the model has no parameter `{name}`.",
                got=f"`which={which!r}`; parameters: "
                + ", ".join(f"`{other}`" for other in parameters),
                suggestion='names of parameters, `"random"` or `"fixed"`',
                argument="which",
                value=name,
                available=(*parameters, *GROUPS),
            )
    return [name for name in parameters if name in chosen]


def fit_by_ml(system: BlockedSystem, estimates: Estimates, optimum: Optimum) -> tuple[Fit, Optimum]:
    """The maximum likelihood fit in working units; that of a REML fit starts where it ended.

    Raises
    ------
    OptionError
        Theta was given: a profile is measured from a maximum.
    """
    if optimum.status is OptimumStatus.FIXED:
        raise OptionError(
            "a profile needs the maximum of the likelihood, and this result is at a given theta.",
            got="a result of `model.at(theta)`",
            suggestion="`model.fit().profile()`",
        )
    if estimates.criterion != "ML":
        optimum, estimates = minimize(system, reml=False, start=estimates.theta)
    objective = Objective(system, reml=False)
    phi = objective.phi_from_theta(estimates.theta)
    evaluation = objective.evaluate(phi).evaluation
    log_variance = float(np.log(evaluation.pwrss / evaluation.nu))
    residual = estimates.theta[len(estimates.theta) - objective.n_residual :]
    beta, value = evaluation.beta, evaluation.value
    fit = Fit(objective.factors(phi), log_variance, beta, value, residual)
    return fit, optimum


def unproved_fit(optimum: Optimum) -> ConvergenceWarning | None:
    """A warning where the fit that profiles are measured from is not a proven minimum."""
    if optimum.status in CERTIFIED:
        return None
    return ConvergenceWarning(
        "the maximum likelihood fit is not proved to be at its maximum, and profiles are measured "
        "from it.",
        got=f"status {optimum.status.value}: {optimum.status.message}",
        suggestion="`model.fit(reml=False, start=...)` from another start",
        status=optimum.status,
    )
