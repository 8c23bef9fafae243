"""What must be said about profiles: not certified, not monotone, a better fit, not defined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from lmmformula.errors import ConvergenceWarning, InferenceWarning, LMMWarning
from lmmformula.inference.profile.curve import Curve, End

__all__ = ["trouble"]

BETTER = 1e-5
"""A deviance lower than the fit's by more than this is another optimum, not rounding."""
FALL = 1e-5
"""Zeta may fall by this much between two points."""


def trouble(
    curves: Mapping[str, Curve], ends: Mapping[str, tuple[End, End]]
) -> Iterable[LMMWarning]:
    """Warnings about the points computed so far and the ends of intervals."""
    defined = {name: curve for name, curve in curves.items() if curve.is_defined}
    undefined = tuple(name for name in curves if name not in defined)
    if undefined:
        yield InferenceWarning(
            "a correlation with an effect whose variance is estimated as zero is not defined, and "
            "every value of it fits equally well.",
            got=_listed(undefined),
            suggestion="a random part without that effect",
            parameters=undefined,
        )
    yield from _better(defined)
    inexact = tuple(
        name
        for name, curve in defined.items()
        if not all(node.is_certified for node in curve.nodes)
        or not all(end.is_exact for end in ends.get(name, ()))
    )
    if inexact:
        yield ConvergenceWarning(
            "a profile could not be computed exactly.",
            got=f"{_listed(inexact)}: a constrained minimum without proof, or a level that was not "
            "reached",
            suggestion="`profile(...).to_frame()` to look at the curves; a bootstrap interval",
            parameters=inexact,
        )
    bent = tuple(name for name, curve in defined.items() if _falls(curve))
    if bent:
        yield InferenceWarning(
            "a profile is not monotone: the likelihood has more than one maximum along it, and the "
            "interval is the part around the estimate.",
            got=_listed(bent),
            suggestion="`profile(...).to_frame()` to look at the curves",
            parameters=bent,
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _better(curves: Mapping[str, Curve]) -> Iterable[LMMWarning]:
    """Lower deviances than the fit's."""
    gains = {
        name: curve.fit.deviance - min(node.fit.deviance for node in curve.nodes)
        for name, curve in curves.items()
    }
    found = {name: gain for name, gain in gains.items() if gain > BETTER}
    if found:
        name = max(found, key=lambda key: found[key])
        yield ConvergenceWarning(
            "profiling came upon a better fit: the estimates are not at the global maximum.",
            got=f"a deviance lower by {found[name]:.4g} along the profile of `{name}`",
            suggestion="`model.fit(start=0.3)` and `model.fit(start=3.0)`, and compare `objective`",
            parameters=tuple(found),
            gain=found[name],
        )


def _falls(curve: Curve) -> bool:
    """Whether zeta falls anywhere."""
    zeta = np.array([node.zeta for node in curve.nodes])
    slopes = np.array([node.slope for node in curve.nodes])
    return bool(np.any(np.diff(zeta) < -FALL) or np.any(slopes[np.isfinite(slopes)] < -FALL))
