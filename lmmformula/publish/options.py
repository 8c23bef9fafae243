"""What a publication table shows and how, checked once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lmmformula.design.sources import closest_name
from lmmformula.errors import OptionError

__all__ = ["FIT", "LAYOUTS", "STATISTICS", "STYLES", "Names", "Options", "choice", "read_stars"]

Names: TypeAlias = Mapping[str, str] | Callable[[str], str]

STATISTICS = ("se", "ci", "t", "df", "p")
LAYOUTS = ("below", "beside")
STYLES = ("plain", "apa")
FIT = ("criterion", "llf", "aic", "bic", "r2_marginal", "r2_conditional", "icc")
MORE_FIT = ("npar", "deviance", "caic")
STARS = {"*": 0.05, "**": 0.01, "***": 0.001}
MOST_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Options:
    """Choices for a publication table.

    Attributes
    ----------
    statistic : tuple of str
        What stands with every estimate, from ``STATISTICS``.
    layout : {"below", "beside"}
        Where it stands.
    stars : tuple of (str, float)
        Marks and the p-values below which they are set, the smallest first.
    digits : int
        Decimals.
    style : {"plain", "apa"}
        How p-values, correlations and shares of variance are written.
    ddf, alpha, robust, cluster
        As in ``summary``.
    random : bool or "sd"
        Whether random effects are shown; "sd" leaves correlations out.
    fit : tuple of str
        Statistics of the fit.
    """

    statistic: tuple[str, ...] = ("se",)
    layout: Literal["below", "beside"] = "below"
    stars: tuple[tuple[str, float], ...] = ()
    digits: int = 3
    style: Literal["plain", "apa"] = "plain"
    ddf: str = "satterthwaite"
    alpha: float = 0.05
    robust: str | None = None
    cluster: Any = None
    random: bool | Literal["sd"] = True
    fit: tuple[str, ...] = FIT

    @property
    def covariance(self) -> dict[str, Any]:
        """What asks for the covariance, the model's own or a cluster-robust one."""
        return {"robust": self.robust, "cluster": self.cluster}

    @property
    def is_normal(self) -> bool:
        """Whether tests refer to the normal distribution."""
        return self.ddf == "wald"

    @property
    def level(self) -> str:
        """Level of the intervals in percent."""
        return f"{100 * (1 - self.alpha):g} %"


def choice(argument: str, value: Any, available: Sequence[Any]) -> Any:
    """Return a value that is one of the documented ones."""
    if any(value is known or value == known for known in available):
        return value
    nearest = closest_name(str(value), [str(known) for known in available])
    shown = ", ".join(repr(known) for known in available)
    raise OptionError(
        f"`{argument}={value!r}` is not one of the choices.",
        got=f"available: {shown}",
        suggestion=f"`{argument}={nearest or available[0]!r}`",
        argument=argument,
        value=value,
        available=tuple(available),
    )


def several(argument: str, value: str | Iterable[str] | None, available: Sequence[str]) -> Any:
    """Return a tuple of documented values; a single one may stand alone."""
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else tuple(value)
    return tuple(dict.fromkeys(choice(argument, name, available) for name in names))


def read_stars(stars: Any) -> tuple[tuple[str, float], ...]:
    """Marks with their p-values, the smallest first."""
    if stars is False or stars is None:
        return ()
    chosen = STARS if stars is True else stars
    if not isinstance(chosen, Mapping) or not all(_is_probability(p) for p in chosen.values()):
        raise OptionError(
            "`stars` maps marks to p-values between 0 and 1.",
            got=f"`stars={stars!r}`",
            suggestion='`stars=True`, or `stars={"*": 0.05, "**": 0.01}`',
            argument="stars",
        )
    return tuple(sorted(((str(m), float(p)) for m, p in chosen.items()), key=lambda pair: pair[1]))


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


def read_digits(digits: Any) -> int:
    """Number of decimals."""
    is_whole = isinstance(digits, int) and not isinstance(digits, bool)
    if not is_whole or not 0 <= digits <= MOST_DIGITS:
        raise OptionError(
            f"`digits` is the number of decimals, from 0 to {MOST_DIGITS}.",
            got=f"`digits={digits!r}`",
            suggestion="`digits=3`",
            argument="digits",
        )
    return int(digits)
