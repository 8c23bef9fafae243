"""Assumed parameters by name: fixed effects, standard deviations, correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.covariance import NaturalParameter, parameter_names, semidefinite_cholesky
from lmmformula.design.sources import closest_name, listed
from lmmformula.engine import BlockedSystem
from lmmformula.errors import OptionError
from lmmformula.report.varcorr import VarCorr, VarCorrTerm

__all__ = [
    "changed_coefficients",
    "changed_covariances",
    "changed_residuals",
    "check_names",
    "check_numbers",
    "required_names",
    "residual_names",
]

INDEFINITE = 1e-8
REPRESENTED = 1e-6


def check_names(names: Sequence[str], available: Sequence[str], argument: str, what: str) -> None:
    """Refuse a name that is none of those available, and say which was probably meant."""
    for name in names:
        if name in available:
            continue
        closest = closest_name(str(name), available)
        near = f"; closest is `{closest}`" if closest else ""
        raise OptionError(
            f"`{argument}` names `{name}`, which is no {what} of the model.",
            got=f"`{name}`{near} (available: {listed(available)})",
            suggestion=f"`{argument}={{{closest or next(iter(available), '')!r}: ...}}`",
            argument=argument,
            name=name,
            closest=closest,
            available=tuple(available),
        )


def check_numbers(values: Mapping[str, Any], argument: str) -> dict[str, float]:
    """Finite numbers by name."""
    if not isinstance(values, Mapping):
        raise OptionError(
            f"`{argument}` must be a mapping of names to numbers.",
            got=f"an object of type `{type(values).__name__}`",
            suggestion=f"`{argument}={{'name': 1.0}}`",
            argument=argument,
        )
    for name, value in values.items():
        is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not is_number or not np.isfinite(value):
            raise OptionError(
                f"`{argument}` must give a finite number for `{name}`.",
                got=f"{value!r}",
                suggestion=f"`{argument}={{{name!r}: 1.0}}`",
                argument=argument,
                name=name,
            )
    return {name: float(value) for name, value in values.items()}


def changed_coefficients(
    beta: FloatArray, names: Sequence[str], changes: Mapping[str, Any], argument: str
) -> FloatArray:
    """Fixed effects with some of them set to new values."""
    numbers = check_numbers(changes, argument)
    check_names(list(numbers), names, argument, "fixed effect")
    out = np.array(beta)
    for name, value in numbers.items():
        out[list(names).index(name)] = value
    return out


def required_names(varcorr: VarCorr) -> tuple[str, ...]:
    """Names of the parameters that have no natural default: all but correlations."""
    return tuple(
        name
        for term, names in zip(varcorr, _names(varcorr), strict=True)
        for parameter, name in zip(term.natural_parameters, names, strict=True)
        if parameter.kind != "correlation"
    )


def _names(varcorr: VarCorr) -> list[tuple[str, ...]]:
    terms = list(varcorr)
    return parameter_names(
        [term.kind for term in terms],
        [term.effects for term in terms],
        [term.group for term in terms],
    )


def changed_covariances(
    varcorr: VarCorr, changes: Mapping[str, Any], sigma: float
) -> tuple[FloatArray, tuple[FloatArray, ...]]:
    """Theta and templates of the random effects, with some parameters set to new values.

    Parameters
    ----------
    varcorr : VarCorr
        Present values.
    changes : mapping of str to float
        New values by name, as in ``varcorr.parameters()``.
    sigma : float
        Residual standard deviation that goes with them.
    """
    numbers = check_numbers(changes, "varcorr")
    if "sigma" in numbers:
        raise OptionError(
            "`varcorr` sets the random effects; the residual has an argument of its own.",
            got=f"`varcorr={{'sigma': {numbers['sigma']:g}}}`",
            suggestion=f"`sigma={numbers['sigma']:g}`",
            argument="varcorr",
        )
    check_names(list(numbers), varcorr.names, "varcorr", "parameter of the random effects")
    thetas, templates = [np.zeros(0)], []
    for term, names in zip(varcorr, _names(varcorr), strict=True):
        own = {j: numbers[name] for j, name in enumerate(names) if name in numbers}
        template = _changed(term, names, own, sigma) if own else term.factor / sigma
        thetas.append(term.kind.theta(template))
        templates.append(template)
    return np.concatenate(thetas), tuple(templates)


def _changed(
    term: VarCorrTerm, names: Sequence[str], changes: Mapping[int, float], sigma: float
) -> FloatArray:
    """Template of one term after changes of some of its natural parameters."""
    parameters = term.natural_parameters
    values = np.nan_to_num(term.natural_values)
    for j, value in changes.items():
        _check_range(names[j], value, parameters[j].limits, "varcorr")
        values[j] = value
    if term.structure == "us":
        return semidefinite_cholesky(_triangle(term, parameters, values) / sigma**2)
    is_sd = np.array([parameter.kind == "sd" for parameter in parameters])
    template = term.kind.template(np.where(is_sd, values / sigma, values))
    found = np.nan_to_num(term.kind.natural(sigma * template))
    can_tell = values[is_sd].all() or not np.isfinite(template).all()
    if can_tell and not np.allclose(found, values, rtol=REPRESENTED, atol=REPRESENTED):
        raise _contradiction(term, dict(zip(names, values.tolist(), strict=True)))
    return template


def _triangle(
    term: VarCorrTerm, parameters: Sequence[NaturalParameter], values: FloatArray
) -> FloatArray:
    """Covariance matrix from a standard deviation for each effect, a correlation for each pair."""
    k = len(term.effects)
    sd, corr = np.zeros(k), np.eye(k)
    for parameter, value in zip(parameters, values.tolist(), strict=True):
        if parameter.kind == "sd":
            sd[parameter.effects[0]] = value
        else:
            i, j = parameter.effects
            corr[i, j] = corr[j, i] = value
    if np.linalg.eigvalsh(corr)[0] < -INDEFINITE:
        raise _contradiction(term, corr.round(3).tolist())
    return np.asarray(corr * np.outer(sd, sd))


def _contradiction(term: VarCorrTerm, values: Any) -> OptionError:
    return OptionError(
        f"the correlations of `{term.group}` contradict each other: no covariance matrix has them.",
        got=f"{values}",
        suggestion="correlations closer to zero",
        argument="varcorr",
        group=term.group,
    )


def residual_names(system: BlockedSystem) -> tuple[str, ...]:
    """Names of the parameters of structured residuals; none where residuals are independent."""
    return () if system.residual is None else system.residual.covariance.names


def changed_residuals(
    system: BlockedSystem, values: FloatArray, changes: Mapping[str, Any]
) -> FloatArray:
    """Parameters of structured residuals with some of them set to new values.

    Parameters
    ----------
    system : BlockedSystem
        Knows the structure.
    values : ndarray
        Present values.
    changes : mapping of str to float
        New values by name, as in ``results.residual_structure.parameters()``.
    """
    numbers = check_numbers(changes, "residuals")
    names, out = residual_names(system), np.array(values)
    if numbers and system.residual is None:
        raise OptionError(
            "`residuals` sets parameters of structured residuals, and the model has none.",
            got=f"`residuals={dict(changes)!r}`",
            suggestion="leave `residuals` out; `sigma=` is the residual standard deviation",
            argument="residuals",
        )
    check_names(list(numbers), names, "residuals", "parameter of the residuals")
    if system.residual is None:
        return out
    covariance = system.residual.covariance
    for name, value in numbers.items():
        place = names.index(name)
        _check_range(name, value, covariance.limits[place], "residuals")
        out[place] = value
    found = covariance.natural(covariance.from_natural(out))
    if not np.allclose(found, out, rtol=REPRESENTED, atol=REPRESENTED):
        raise OptionError(
            "the parameters of the residuals contradict each other: no covariance has them.",
            got=f"{dict(zip(names, out.tolist(), strict=True))}",
            suggestion="correlations closer to zero",
            argument="residuals",
        )
    return out


def _check_range(name: str, value: float, limits: tuple[float, float], argument: str) -> None:
    low, high = limits
    if low <= value <= high:
        return
    is_open = high == np.inf
    raise OptionError(
        f"`{name}` is out of range.",
        got=f"{value:g}; it must lie "
        + ("at zero or above" if is_open else f"between {low:g} and {high:g}"),
        suggestion=f"`{argument}={{{name!r}: {abs(value) if is_open else 0.5 * (low + high):g}}}`",
        argument=argument,
        name=name,
    )
