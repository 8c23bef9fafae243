"""V and Henderson's equations, as methods of a result."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
from scipy import sparse

from lmmformula.errors import NumericalError, OptionError
from lmmformula.inference.equations.mixed_model import MixedModelEquations
from lmmformula.postfit.marginal_covariance import covariance_of_rows
from lmmformula.postfit.records import ModelLike
from lmmformula.postfit.residual_covariance import residual_precision
from lmmformula.postfit.rows_of_levels import grouping_factors, rows_of_levels
from lmmformula.postfit.sparse_effects import (
    effects_matrix,
    has_singular_relationship,
    relative_factor,
    relative_precision,
)

__all__ = ["FORMS", "EquationAccessors", "mixed_model_equations"]

FORMS: dict[str, str] = {
    "henderson": "unknowns beta and b; needs the inverse of G",
    "spherical": "unknowns beta and u with b = Lambda u; G may be singular",
}


class EquationAccessors:
    """What textbooks write: the covariance of the data, and the equations of its estimates."""

    _model: ModelLike

    def marginal_covariance(
        self, group: Any = None, level: Any = None, *, correlation: bool = False, **levels: Any
    ) -> pd.DataFrame:
        """Covariance V of the responses, random effects included, in the rows of one level.

        Parameters
        ----------
        group : str or number, optional
            A level, if only one grouping factor has it; with ``level``, the grouping factor.
            Nothing at all: all rows, where there are at most 5,000.
        level : str or number, optional
            Level of the grouping factor ``group`` (``"cask:batch", "a:A"`` for an interaction).
        correlation : bool, default False
            Correlations instead.
        **levels
            Levels by name, ``Subject="308"``; several have to hold together. The parts of an
            interaction are names too: ``batch="A", cask="a"``.

        Returns
        -------
        DataFrame, shape (m, m)
            Index and columns are the labels of the rows.

        Raises
        ------
        OptionError
            A level does not exist or is ambiguous, or there are more than 5,000 rows.
        DataError
            The fit was kept without its rows.

        Notes
        -----
        V = sigma^2 Z Lambda Lambda' Z' + R, of which these rows and columns are shown; with crossed
        factors rows of different groups are correlated too.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> fit.marginal_covariance("308").iloc[:3, :3].round(1)
                0       1       2
        0  1267.0   621.7   631.3
        1   621.7  1321.3   711.0
        2   631.3   711.0  1445.7
        """
        self._model.require_rows("`marginal_covariance()`")
        result: Any = self
        design = result.design
        rows = rows_of_levels(grouping_factors(design), group, level, levels, design.matrices.n_obs)
        parts = (design, result.estimates, rows, result.residual_structure)
        return covariance_of_rows(*parts, correlation=correlation)

    def mixed_model_equations(
        self, form: Literal["henderson", "spherical"] | None = None
    ) -> MixedModelEquations:
        """Henderson's mixed model equations at the estimates, in the columns of the data.

        Parameters
        ----------
        form : {"henderson", "spherical"}, optional
            Unknowns beta and b; or beta and u with b = Lambda u, which needs no inverse of G.
            Default: "spherical" where the fit is singular.

        Returns
        -------
        MixedModelEquations
            With ``coefficient_matrix``, ``right_hand_side``, ``solution``, ``fixed``, ``random``,
            ``inverse()``, ``bse``, ``prediction_error_variance`` and ``absorbed()``.

        Raises
        ------
        OptionError
            An unknown form, or "henderson" for a singular fit.
        DataError
            The fit was kept without its rows.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (1 | Subject)", lf.load_dataset("sleepstudy"))
        >>> equations = fit.mixed_model_equations()
        >>> equations.fixed.round(3).tolist() == fit.params.round(3).tolist()
        True
        >>> equations.absorbed()
        Equations of the fixed effects, X'V^-1X beta = X'V^-1y
        Reaction ~ Days + (1 | Subject)
        ---------------------------------------------------
                   Intercept     Days  Right side  Solution
        ---------------------------------------------------
        Intercept    0.01221  0.05494       3.645    251.41
        Days         0.05494  1.79339      32.585     10.47
        ---------------------------------------------------
        """
        self._model.require_rows("`mixed_model_equations()`")
        return mixed_model_equations(self, form)


def mixed_model_equations(results: Any, form: str | None = None) -> MixedModelEquations:
    """Write the equations of a fit; arguments as the accessor's."""
    form = _form(results, form)
    estimates, m = results.estimates, results.design.matrices
    if not estimates.sigma > 0.0:
        raise NumericalError(
            "the mixed model equations need a residual variance above zero.",
            got=f"sigma = {estimates.sigma:g}: the model fits every row exactly",
            suggestion="`params` and `random_effects` hold the solution",
        )
    terms = list(zip(m.random, estimates.templates, strict=True))
    sigma2 = estimates.sigma**2
    q = sum(block.n_levels * block.n_effects for block in m.random)
    penalty = sparse.csc_array(sparse.eye_array(q))
    if form == "henderson" and terms:
        penalty = sparse.csc_array(sparse.block_diag([relative_precision(*one) for one in terms]))
    Z = sparse.hstack([effects_matrix(block) for block in m.random]) if terms else None
    Lambda = sparse.block_diag([relative_factor(*one) for one in terms]) if terms else None
    return MixedModelEquations(
        formula=results.formula,
        form=form,
        X=m.X,
        Z=sparse.csr_array((m.n_obs, 0) if Z is None else Z),
        y=m.working_response,
        R_inverse=residual_precision(m, estimates, results.residual_structure),
        penalty=sparse.csc_array(penalty / sigma2),
        Lambda=sparse.csc_array((0, 0) if Lambda is None else Lambda),
        fixed_names=m.fixed_names,
        blocks=m.random,
        remarks=_remarks(results, form),
    )


def _remarks(results: Any, form: str) -> tuple[str, ...]:
    """Say why there is no Henderson form, and what the columns are then."""
    if form == "henderson":
        return ()
    found = _singularities(results)
    reasons = [f"G has no inverse: {'; '.join(found)}."] if found else []
    return (*reasons, "Equations are of u, right side included; solution and errors are of b.")


def _singularities(results: Any) -> list[str]:
    """Say why G has no inverse; empty where it has one."""
    found = [item.sentence for item in results.singularities]
    return found + [
        f"levels of `{block.group}` are related as one"
        for block in results.design.matrices.random
        if has_singular_relationship(block)
    ]


def _form(results: Any, form: str | None) -> str:
    found = _singularities(results)
    if form is None:
        return "spherical" if found else "henderson"
    if form not in FORMS:
        raise OptionError(
            f"`form={form!r}` is not a form of the mixed model equations.",
            got="; ".join(f'"{name}": {text}' for name, text in FORMS.items()),
            suggestion='`form="henderson"`',
            argument="form",
            available=tuple(FORMS),
        )
    if form == "henderson" and found:
        raise OptionError(
            "Henderson's form needs the inverse of G, which does not exist.",
            got="; ".join(found),
            suggestion='`form="spherical"`',
            argument="form",
            available=("spherical",),
        )
    return form
