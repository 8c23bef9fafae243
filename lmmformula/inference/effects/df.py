"""Methods for tests on fixed effects, by name; each makes an ``Approximation`` of a result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np

from lmmformula._arrays import BoolArray, FloatArray
from lmmformula.covariance import Correlated
from lmmformula.design.notify import notify
from lmmformula.engine import (
    AnySystem,
    BlockedSystem,
    Estimates,
    KenwardRogerPieces,
    kenward_roger_pieces,
    variance_information,
)
from lmmformula.engine.partitioned.system import PartitionedSystem
from lmmformula.errors import InferenceWarning, NumericalError, OptionError
from lmmformula.inference.effects.approximation import Approximation, Wald
from lmmformula.inference.effects.kenward_roger import KenwardRoger, check_memory
from lmmformula.inference.effects.satterthwaite import Satterthwaite
from lmmformula.postfit.requirements import require_exact_engine, require_plain_residuals

__all__ = ["DEFAULT_METHOD", "DF_METHODS", "Inferable", "check_method", "degrees_of_freedom"]

DEFAULT_METHOD = "satterthwaite"

SMALLEST_SIGMA, LARGEST_SIGMA = 1e-45, 1e45

REFITTED = "Kenward-Roger needs REML: estimates and tests here are those of the REML fit."
EXPECTED_AT_ZERO = (
    "The expected information counts variances estimated as zero as if they were estimated freely."
)
OBSERVED_AT_ZERO = "Variances estimated as zero are taken as known."


class Inferable(Protocol):
    """What a method may ask of a result."""

    @property
    def system(self) -> BlockedSystem:
        """Cross-products of the design."""

    @property
    def any_system(self) -> AnySystem:
        """The data in the engine that fitted the model."""

    @property
    def estimates(self) -> Estimates:
        """Estimates as arrays."""

    @property
    def is_singular(self) -> bool:
        """Whether a variance is zero or a correlation one in size."""

    def approximation(self, ddf: str = ...) -> Approximation:
        """Tests by a method, made once."""

    def refit_reml(self) -> Any:
        """Return the REML fit of the same model."""


DfMethod: TypeAlias = Callable[[Any], Approximation]


def degrees_of_freedom(method: str, results: Inferable, contrasts: FloatArray) -> FloatArray:
    """Degrees of freedom of one test per row of ``contrasts``.

    Parameters
    ----------
    method : str
        A key of ``DF_METHODS``.
    results : LinearMixedResults
        The fit.
    contrasts : ndarray, shape (m, p)
        Coefficients of the tested combinations of fixed effects.

    Returns
    -------
    ndarray, shape (m,)
        Infinite where the test refers to the normal distribution.

    Raises
    ------
    OptionError
        The method is not known.
    """
    check_method(method)
    return results.approximation(method).df(contrasts)


def check_method(method: str, argument: str = "ddf", extra: tuple[str, ...] = ()) -> None:
    """Raise unless ``method`` is registered (or among ``extra``)."""
    available = (*DF_METHODS, *extra)
    if isinstance(method, str) and method in available:
        return
    raise OptionError(
        f"`{argument}={method!r}` is not a method for tests and intervals of fixed effects.",
        got=f"available: {', '.join(available)}",
        suggestion=f'`{argument}="{available[0]}"`',
        argument=argument,
        value=method,
        available=available,
    )


def wald(results: Inferable) -> Approximation:
    """Take the covariance parameters as known."""
    e = results.estimates
    return Wald(e.beta, e.vcov_beta, e.sigma)


def satterthwaite(results: Inferable) -> Approximation:
    """Satterthwaite's degrees of freedom."""
    e = results.estimates
    information = variance_information(results.any_system, e.theta, e.criterion == "REML")
    return Satterthwaite(e.beta, e.sigma, information)


def kenward_roger(results: Inferable) -> Approximation:
    """Kenward and Roger's method from the expected information, as pbkrtest has it."""
    return _kenward_roger(results, observed=False)


def kenward_roger_observed(results: Inferable) -> Approximation:
    """Kenward and Roger's method from the observed information, as SAS and JMP have it."""
    return _kenward_roger(results, observed=True)


def _kenward_roger(results: Inferable, *, observed: bool) -> Approximation:
    instead = '`ddf="satterthwaite"`'
    system = results.any_system
    if not isinstance(system, PartitionedSystem):  # whose sums have all that is needed
        require_exact_engine(system, "Kenward and Roger's method", instead)
    residual = system.residual
    require_plain_residuals(
        None if residual is None else residual.covariance.rows,
        "Kenward and Roger's method",
        instead,
    )
    fit: Inferable = results
    notes: tuple[str, ...] = ()
    if results.estimates.criterion != "REML":
        fit, notes = results.refit_reml(), (REFITTED,)
        notify(
            InferenceWarning(
                "Kenward-Roger tests need a REML fit; the model was refitted by REML for them.",
                got="a maximum likelihood fit",
                suggestion='fit with `reml=True`, or `ddf="satterthwaite"`',
            )
        )
    e = fit.estimates
    if not e.p:
        return Wald(e.beta, e.vcov_beta, e.sigma, notes)
    whole = fit.any_system
    if isinstance(whole, BlockedSystem):
        check_memory(whole)
    pieces, known = _pieces(whole, e), _zeros(whole, e)
    if known.any():
        notes = (*notes, OBSERVED_AT_ZERO if observed else EXPECTED_AT_ZERO)
    if not observed:
        known = np.zeros_like(known)
    information = pieces.observed if observed else pieces.expected
    return KenwardRoger(e.beta, e.sigma, pieces, information, known, notes)


def _pieces(system: AnySystem, estimates: Estimates) -> KenwardRogerPieces:
    """Pieces of the method, which hold third powers of the residual variance."""
    unit = float(estimates.sigma)
    if SMALLEST_SIGMA < unit < LARGEST_SIGMA:
        return kenward_roger_pieces(system, estimates.theta)
    raise NumericalError(
        "Kenward-Roger's adjustment overflows in the unit of this response.",
        got=f"a residual standard deviation of {unit:.3g}",
        suggestion="divide the response by a power of ten; the tests are the same in other units",
        sigma=unit,
    )


def _zeros(system: AnySystem, estimates: Estimates) -> BoolArray:
    """Variances and covariances of effects whose variance is estimated as zero; sigma^2 last."""
    out = []
    for term, template in zip(system.terms, estimates.templates, strict=True):
        rows, columns = term.structure.pairs
        is_zero = ~np.any(template, axis=1)
        if isinstance(term.structure, Correlated):
            out.append(_zeros_of_structure(term.structure, is_zero))
            continue
        if term.structure.invariance == "linear" and not is_zero.all():
            is_zero[:] = False  # the working basis mixes the effects
        out.append((is_zero[rows] | is_zero[columns])[term.structure.free_entries])
    return np.append(np.concatenate([np.zeros(0, dtype=np.bool_), *out]), False)


def _zeros_of_structure(structure: Correlated, is_zero: BoolArray) -> BoolArray:
    """The same for standard deviations and correlation parameters."""
    n_sd = structure.n_sd
    sd = is_zero if n_sd == len(is_zero) else np.full(n_sd, bool(is_zero.all()))
    alone = int(np.sum(~is_zero)) < 2
    return np.append(sd, np.full(structure.n_phi - n_sd, alone))


DF_METHODS: dict[str, DfMethod] = {
    "satterthwaite": satterthwaite,
    "kenward-roger": kenward_roger,
    "kenward-roger-observed": kenward_roger_observed,
    "wald": wald,
}
