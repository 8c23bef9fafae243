"""What a computation needs of a model's residuals or random effects, and what to do without."""

from __future__ import annotations

from lmmformula.engine import AlternativeSystem, AnySystem, BlockedSystem
from lmmformula.errors import OptionError
from lmmformula.matrices import ModelMatrices, ResidualRows

__all__ = [
    "EXACT",
    "exact_system",
    "kind_of_rows",
    "require_exact_engine",
    "require_plain_residuals",
    "require_random_effects",
    "require_uncorrelated_residuals",
    "require_unrelated_levels",
    "residual_text",
]


EXACT = '`model.fit(method="exact")` where memory allows it (`model.explain()`)'
"""What to do without an engine that holds no blocks."""


def residual_text(residual: ResidualRows) -> str:
    """The residuals' structure as the arguments that ask for it.

    Examples
    --------
    >>> import lmmformula as lf
    >>> data = lf.load_dataset("sleepstudy")
    >>> model = lf.lmm("Reaction ~ Days", data, residual="ar1(Days | Subject)")
    >>> residual_text(model.design.matrices.residual)
    '`residual="ar1(Days | Subject)"`'
    """
    parts = [f'`residual="{residual.text}"`'] if residual.correlation is not None else []
    if residual.variances:
        parts.append(f'`variance="{" + ".join(part.text for part in residual.variances)}"`')
    return ", ".join(parts)


def kind_of_rows(matrices: ModelMatrices) -> str:
    """What a model is called whose rows do not all count the same."""
    return "a weighted model" if matrices.residual is None else "a model with structured residuals"


def require_plain_residuals(residual: ResidualRows | None, what: str, instead: str) -> None:
    """Raise where the residuals have a correlation or a variance function.

    Parameters
    ----------
    residual : ResidualRows or None
        ``matrices.residual`` of the model.
    what : str
        What needs independent residuals of equal variance, as the subject of a sentence.
    instead : str
        What can be pasted or done.

    Raises
    ------
    OptionError
        With the attributes ``needs`` and ``term``.
    """
    if residual is None:
        return
    raise OptionError(
        f"{what} is known for independent residuals of equal variance (over the weights) only.",
        got=residual_text(residual),
        suggestion=instead,
        needs=what,
        term=_terms(residual),
    )


def require_uncorrelated_residuals(residual: ResidualRows | None, what: str, instead: str) -> None:
    """Raise where residuals are correlated within groups; arguments as above."""
    if residual is None or residual.correlation is None:
        return
    raise OptionError(
        f"{what} is known for uncorrelated residuals only.",
        got=f"`{residual.text}` correlates the residuals of each level of `{residual.group}`",
        suggestion=instead,
        needs=what,
        term=residual.text,
    )


def require_unrelated_levels(matrices: ModelMatrices, what: str, instead: str) -> None:
    """Raise where a known relationship correlates the levels of a grouping factor."""
    for block in matrices.random:
        if block.relationship is not None:
            raise OptionError(
                f"{what} needs independent levels, and a relationship correlates those of "
                f"`{block.group}`.",
                got=f"`{block.text}` with a known relationship",
                suggestion=instead,
                needs=what,
                term=block.text,
                group=block.group,
            )


def require_random_effects(matrices: ModelMatrices, what: str, instead: str) -> None:
    """Raise where a model has no random-effects term."""
    if matrices.random:
        return
    residual = matrices.residual
    raise OptionError(
        f"{what} needs a random-effects term, and the model has none.",
        got="fixed effects only"
        if residual is None
        else f"fixed effects and {residual_text(residual)}",
        suggestion=instead,
        needs=what,
    )


def require_exact_engine(system: AnySystem, what: str, instead: str) -> None:
    """Raise where the model was fitted by an engine that does not hold the blocks ``what`` needs.

    Parameters
    ----------
    system : BlockedSystem or AlternativeSystem
    what : str
        What needs the exact engine, as the subject of a sentence.
    instead : str
        What can be pasted or done.

    Raises
    ------
    OptionError
        With the attributes ``needs`` and ``method``.
    """
    if isinstance(system, AlternativeSystem):
        raise OptionError(
            f"{what} needs the exact engine, which holds every block of the model.",
            got=f'`method="{system.method}"`',
            suggestion=instead,
            needs=what,
            method=system.method,
        )


def exact_system(system: AnySystem, what: str = "this computation") -> BlockedSystem:
    """The blocks of a model, or an error where another engine fitted it."""
    require_exact_engine(system, what, EXACT)
    assert isinstance(system, BlockedSystem)
    return system


def _terms(residual: ResidualRows) -> str:
    own = [residual.text] if residual.correlation is not None else []
    return " + ".join([*own, *(part.text for part in residual.variances)])
