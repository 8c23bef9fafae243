"""The arguments ``residual=`` and ``variance=``: correlation and spread of the residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmmformula.errors import FormulaError
from lmmformula.formula.algebra import Sum
from lmmformula.formula.argument import read_argument
from lmmformula.formula.deparse import deparse, quoted
from lmmformula.formula.expressions import strip_groups
from lmmformula.formula.grouping import Grouping, groupings
from lmmformula.formula.source import Source
from lmmformula.formula.structures import Chosen, Vocabulary, choose, is_bar
from lmmformula.formula.terms import Atom, TermAtoms
from lmmformula.formula.tree import Binary, Call, Node
from lmmformula.formula.variance import VarianceTerm, variance_terms
from lmmformula.residual_covariance import CORRELATIONS, variant

__all__ = ["ResidualFormula", "ResidualTerm", "VarianceTerm", "parse_residual"]

RESIDUAL_WORDS = {
    "un": "us",
    "unstructured": "us",
    "unr": "homus",
    "corsymm": "homus",
    "csh": "cs",
    "hetcs": "cs",
    "exchangeable": "homcs",
    "corcompsymm": "homcs",
    "ar": "ar1",
    "homar1": "ar1",
    "corar1": "ar1",
    "arh1": "hetar1",
    "ar1h": "hetar1",
    "arh": "hetar1",
    "arma11": "arma",
    "corarma": "arma",
    "toeph": "toep",
    "hettoep": "toep",
    "toeplitz": "toep",
    "ou": "car1",
    "exp": "car1",
    "corcar1": "car1",
    "corexp": "car1",
}
IN_VARIANCE = dict.fromkeys(
    ("diag", "ident", "vc", "varident"), '`variance="ident({left})"` for a variance per level'
)

RESIDUALS = Vocabulary(
    "structure of residuals",
    lambda: tuple(CORRELATIONS),
    variant,
    RESIDUAL_WORDS,
    IN_VARIANCE,
    ' with `variance="ident(f)"`, where the levels of `f` have the variances',
)


@dataclass(frozen=True, slots=True)
class ResidualTerm:
    """Correlation of the residuals within groups, as written.

    Attributes
    ----------
    text : str
        As results print it, ``ar1(visit | Subject)``.
    structure : str
        A key of ``residual_covariance.CORRELATIONS``.
    position : Atom or None
        The time; None for the order of the rows (``1``).
    group_atoms : tuple of Atom
        Variables whose interaction is the grouping factor.
    group : str
        Its label.
    """

    text: str
    structure: str
    position: Atom | None
    group_atoms: TermAtoms
    group: str

    @property
    def group_spelling(self) -> str:
        """The label as a formula needs it, a name with blanks in backticks."""
        single = len(self.group_atoms) == 1 and self.group_atoms[0].method == "lookup"
        return quoted(self.group) if single else self.group


@dataclass(frozen=True, slots=True)
class ResidualFormula:
    """What ``residual=`` and ``variance=`` ask for.

    Attributes
    ----------
    correlation : ResidualTerm or None
        Correlation within groups.
    variances : tuple of VarianceTerm
        Variance functions, whose standard deviations multiply.
    """

    correlation: ResidualTerm | None
    variances: tuple[VarianceTerm, ...]


def parse_residual(residual: Any = None, variance: Any = None) -> ResidualFormula | None:
    """Read the arguments for structured residuals.

    Parameters
    ----------
    residual : str, optional
        Correlation within groups: ``"ar1(visit | Subject)"``.
    variance : str or list of str, optional
        Variance functions: ``"power(age)"``, ``"ident(Sex) + exp(age)"``.

    Returns
    -------
    ResidualFormula or None
        None where neither is given.

    Raises
    ------
    FormulaError
        An argument cannot be read; ``error.argument`` says which.

    Examples
    --------
    >>> parse_residual("cs(1 | Rat)").correlation.structure
    'homcs'
    >>> [term.function for term in parse_residual(variance="ident(g) + power(x)").variances]
    ['ident', 'power']
    """
    if residual is None and variance is None:
        return None
    variances = () if variance is None else variance_terms(variance)
    correlation = None if residual is None else _correlation(residual, bool(variances))
    return ResidualFormula(correlation, variances)


def _correlation(text: Any, has_variance: bool) -> ResidualTerm:
    example = "ar1(visit | Subject)"
    source, node = read_argument(text, "residual", example, RESIDUAL_WORDS)
    node = strip_groups(node)
    if not isinstance(node, Call) or not any(
        is_bar(strip_groups(argument.value)) for argument in node.arguments
    ):
        raise _no_bar(source, node)
    chosen = choose(source, node, RESIDUALS)
    position = _position(source, chosen.bar, node.function)
    group = _group(source, chosen.bar, node.function)
    return ResidualTerm(
        text=f"{node.function}({deparse(chosen.bar.left)} | {group.spelling}{chosen.option})",
        structure=_with_variances(source, node, chosen, position, has_variance),
        position=position,
        group_atoms=group.atoms,
        group=group.label,
    )


def _group(source: Source, bar: Binary, name: str) -> Grouping:
    """Read the right of the bar: one factor, or an interaction."""
    right = strip_groups(bar.right)
    sums = isinstance(right, Binary) and right.symbol == "+"
    found = [] if sums else groupings(source, right)
    if len(found) == 1:
        return found[0]
    if isinstance(right, Binary) and sums:
        label = f"{deparse(right.left)}:{deparse(right.right)}"
    else:
        label = found[0].label
    raise source.error(
        "residuals are correlated within the levels of one grouping factor.",
        bar.right.start,
        bar.right.stop,
        suggestion=f"`{name}({deparse(bar.left)} | {label})`",
        argument="residual",
    )


def _no_bar(source: Source, node: Node) -> FormulaError:
    inside = deparse(node.arguments[0].value) if isinstance(node, Call) and node.arguments else ""
    name = node.function if isinstance(node, Call) else deparse(node)
    name = name if name in CORRELATIONS else "ar1"
    several = isinstance(node, Binary) and node.symbol == "+"
    message = (
        "`residual` takes one structure; variance functions beside it are given by `variance`."
        if several
        else "`residual` needs a structure with a bar: time on the left, group on the right."
    )
    return source.error(
        message,
        node.start,
        node.stop,
        suggestion=f'`residual="{name}({inside or "visit"} | Subject)"` with your columns',
        argument="residual",
    )


def _position(source: Source, bar: Binary, name: str) -> Atom | None:
    """Read the left of the bar: ``visit``, perhaps ``0 + visit``, or ``1``."""
    times = Sum(source)
    times.add(bar.left)
    terms = times.ordered()
    if not terms and times.intercept:
        return None
    if len(terms) == 1 and len(terms[0]) == 1 and not times.wildcard:
        return terms[0][0]
    raise source.error(
        f"`{name}()` takes one column of times on the left of its bar, or `1` for the order of "
        "the rows.",
        bar.left.start,
        bar.left.stop,
        suggestion=f"`{name}(visit | {deparse(bar.right)})`",
        argument="residual",
    )


def _with_variances(
    source: Source, node: Call, chosen: Chosen, position: Atom | None, has_variance: bool
) -> str:
    """Settle whether the structure has a variance per position."""
    key, equal = chosen.key, variant(chosen.key, True)
    if CORRELATIONS[key].homogeneous or equal is None:
        if CORRELATIONS[key].time == "continuous" and position is None:
            raise _no_time(source, node, chosen.bar, "the times between rows")
        return key
    said = chosen.hom is False or node.function.startswith("het")
    if has_variance and said:
        raise source.error(
            f"`{node.function}` with a variance for every position and `variance` both say what "
            "the variances are.",
            node.start,
            node.stop,
            suggestion=f"`{equal}({deparse(chosen.bar.left)} | {deparse(chosen.bar.right)})`, or "
            "leave `variance` out",
            argument="residual",
        )
    exchangeable = CORRELATIONS[key].time == "none" and position is None
    if exchangeable and said:
        raise _no_time(source, node, chosen.bar, "which variance a row has")
    return equal if has_variance or exchangeable else key


def _no_time(source: Source, node: Call, bar: Binary, what: str) -> FormulaError:
    return source.error(
        f"`{node.function}({deparse(bar)})` cannot know {what}: `1` says nothing about time.",
        bar.left.start,
        bar.left.stop,
        suggestion=f"`{node.function}(time | {deparse(bar.right)})` with a column for `time`",
        argument="residual",
    )
