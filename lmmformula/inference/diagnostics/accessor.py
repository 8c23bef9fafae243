"""Fit statistics and diagnostics, as methods of a result."""

from __future__ import annotations

from lmmformula.inference.diagnostics.checkup import Checkup, check_up
from lmmformula.inference.diagnostics.conditional_aic import ConditionalAIC, conditional_aic
from lmmformula.inference.diagnostics.icc import IntraclassCorrelation, intraclass_correlation
from lmmformula.inference.diagnostics.r2 import RSquared, r_squared
from lmmformula.inference.diagnostics.random_pca import RandomEffectsPCA, random_effects_pca
from lmmformula.inference.diagnostics.vif import VarianceInflation, variance_inflation

__all__ = ["DiagnosticAccessors"]


class DiagnosticAccessors:
    """Named results that say how good a fit is."""

    def icc(self) -> IntraclassCorrelation:
        """Intraclass correlation: share of the random effects in the variance.

        Returns
        -------
        IntraclassCorrelation
            With ``adjusted`` (fixed effects left out), ``unadjusted``, ``by_term`` and
            ``to_frame()``. A random slope counts with its mean variance over the rows.

        Examples
        --------
        >>> import lmmformula as lf
        >>> data = lf.load_dataset("penicillin")
        >>> fit = lf.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
        >>> fit.icc()
        Intraclass correlation
        ---------------------------------------
                    Variance    ICC  with fixed
        ---------------------------------------
        plate         0.7169  0.151       0.151
        sample        3.7309  0.785       0.785
        Residual      0.3024  0.064       0.064
        All random    4.4478  0.936       0.936
        ---------------------------------------
        """
        return intraclass_correlation(self)

    def r2(self) -> RSquared:
        """R squared of Nakagawa and Schielzeth: marginal (fixed effects) and conditional.

        Returns
        -------
        RSquared
            With ``marginal``, ``conditional``, ``parts`` and ``to_frame()``. Random slopes enter
            with their mean variance over the rows (Johnson 2014).

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> round(fit.r2().marginal, 4), round(fit.r2().conditional, 4)
        (0.2787, 0.7992)
        """
        return r_squared(self)

    def conditional_aic(self) -> ConditionalAIC:
        """Conditional AIC, for predictions in the levels at hand.

        Returns
        -------
        ConditionalAIC
            With ``caic``, ``df`` (effective parameters, with what estimating the covariance
            parameters costs), ``llf`` and ``to_frame()``.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (1 | Subject)", lf.load_dataset("sleepstudy"))
        >>> round(fit.conditional_aic().df, 3)
        19.023
        """
        return conditional_aic(self)

    def repca(self, scaled: bool = False) -> RandomEffectsPCA:
        """Principal components of the random effects, by grouping factor.

        Parameters
        ----------
        scaled : bool, default False
            Measure every effect in units of the root mean square of its column, so that the
            answer does not depend on the units of predictors. lme4's ``rePCA`` does not.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Reaction ~ Days + (Days | Subject)", lf.load_dataset("sleepstudy"))
        >>> fit.repca()["Subject"].sd.round(4).tolist()
        [0.9669, 0.2309]
        """
        return random_effects_pca(self, scaled)

    def vif(self) -> VarianceInflation:
        """Variance inflation factors of the terms of the fixed effects.

        Examples
        --------
        >>> import lmmformula as lf
        >>> data = lf.load_dataset("sleepstudy")
        >>> fit = lf.lmer("Reaction ~ Days + I(Days^2) + (1 | Subject)", data)
        >>> fit.vif().per_column.round(2).tolist()
        [13.66, 13.66]
        """
        return variance_inflation(self)

    def check(self) -> Checkup:
        """Say in sentences what an expert would say about the fit.

        Returns
        -------
        Checkup
            Prints its findings, the gravest first; ``topics``, ``is_clean``, ``to_frame()``.

        Notes
        -----
        Looked at: convergence and identifiability, singular and nearly singular covariances,
        collinear fixed effects, scales, few levels or rows, what was left out, random effects
        without a mean, residual variance, outliers and influential levels.

        Examples
        --------
        >>> import lmmformula as lf
        >>> fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
        >>> fit.check()
        Note: `Batch` has 6 levels: its variance is poorly known.
          Try: `ddf="kenward-roger"` for tests, profile intervals for variances
        """
        return check_up(self)
