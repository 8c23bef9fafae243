r"""Covariance of the fixed effects that holds when the model's covariance within clusters is wrong.

The variance of :math:`l'\hat\beta` is estimated by a sum of squares over clusters,
:math:`\sum_g (f_g'e_g)^2`. Under the model's own covariance the terms have covariances
:math:`P_{gh} = \delta_{gh} f_g'\Theta_g f_g - f_g'X_g M X_h'f_h`, so the estimate has approximately
a chi-square distribution with :math:`(\mathrm{tr} P)^2 / \sum P_{gh}^2` degrees of freedom.
Several combinations together are tested by Hotelling's T-squared approximation (HTZ). Nothing of
size J x J is formed.

References
----------
Bell and McCaffrey (2002), Survey Methodology 28, 169-181 (CR2, degrees of freedom).
Pustejovsky and Tipton (2018), J. Bus. Econ. Stat. 36, 672-683 (working models, HTZ).
Cameron and Miller (2015), J. Hum. Resour. 50, 317-372.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lmmformula._arrays import CodeArray, FloatArray, IntArray, LabelArray
from lmmformula.design import Design
from lmmformula.design.notify import notify
from lmmformula.engine import Objective
from lmmformula.errors import DataError, DesignError, DimensionError, InferenceWarning, OptionError
from lmmformula.inference.effects.approximation import (
    DEPENDENT,
    Approximation,
    JointTest,
    independent_rows,
)
from lmmformula.inference.effects.cluster_blocks import ADJUSTMENTS, ClusterForms, cluster_forms
from lmmformula.postfit.requirements import EXACT, require_exact_engine, require_unrelated_levels

__all__ = [
    "ClusterRobust",
    "Clusters",
    "check_cluster_unused",
    "check_robust",
    "cluster_robust",
    "find_clusters",
]

METHODS = ("satterthwaite", "wald")


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Independent pieces of the data.

    Attributes
    ----------
    name : str
        What they are levels of.
    codes : ndarray of int, shape (n,)
        Cluster of every row used.
    count : int
        Number of clusters.
    """

    name: str
    codes: IntArray
    count: int

    @property
    def key(self) -> str:
        """Digest of the rows' clusters."""
        return hashlib.blake2b(self.codes.tobytes(), digest_size=8).hexdigest()


class ClusterRobust(Approximation):
    """t and F tests with a cluster-robust covariance.

    Parameters
    ----------
    beta : ndarray, shape (p,)
        Estimates.
    sigma : float
        Residual standard deviation.
    forms : ClusterForms
        Contributions of the clusters, in working columns.
    M : ndarray, shape (p, p)
        Covariance over sigma^2 in working columns.
    to_user : ndarray, shape (p, p)
        From working to user's coefficients.
    is_normal : bool
        Refer to the normal distribution instead.
    note : str
        What the covariance is.
    """

    def __init__(
        self,
        beta: FloatArray,
        sigma: float,
        forms: ClusterForms,
        M: FloatArray,
        to_user: FloatArray,
        *,
        is_normal: bool,
        note: str,
    ) -> None:
        turned = to_user @ M
        parts = forms.scores @ turned.T
        super().__init__(beta, parts.T @ parts, sigma, (note,))
        self.forms, self.turned, self.is_normal = forms, turned, is_normal
        self.model_vcov = turned @ to_user.T
        self.root = np.linalg.cholesky(M)

    def df(self, rows: FloatArray) -> FloatArray:
        """Satterthwaite's degrees of freedom of one test per row."""
        if self.is_normal:
            return np.full(len(rows), np.inf)
        out = np.empty(len(rows))
        for i, row in enumerate(rows):
            own, linked = self._parts(row[None])
            d, U = own[:, 0, 0], linked[:, 0]
            size = np.sum(U * U, axis=1)
            squares = np.sum(d * d) - 2.0 * d @ size + np.sum((U.T @ U) ** 2)
            out[i] = (np.sum(d) - np.sum(size)) ** 2 / squares if squares > 0.0 else np.nan
        return out

    def joint(self, rows: FloatArray, values: FloatArray | float = 0.0) -> JointTest:
        """Test that ``rows @ beta`` equals ``values``; NaN where there are too few clusters.

        Which rows follow from others is judged by the model's covariance: the robust one has at
        most the rank of the number of clusters.
        """
        basis = independent_rows(rows, np.broadcast_to(values, len(rows)), self.model_vcov)
        L, rank = basis[:, :-1], len(basis)
        eigenvalues, vectors = np.linalg.eigh(L @ self.vcov @ L.T)
        if not eigenvalues[0] > DEPENDENT * eigenvalues[-1]:
            _warn_too_few(rank, "the covariance is singular")
            return JointTest(np.nan, np.nan, rank, np.nan)
        difference = vectors.T @ (basis @ np.append(self.beta, -1.0))
        unscaled = float(np.sum(difference**2 / eigenvalues)) / rank
        scale, den_df = self.joint_df(L, rank)
        return JointTest(scale * unscaled, unscaled, rank, den_df)

    def joint_df(self, rows: FloatArray, rank: int) -> tuple[float, float]:
        """Scale and degrees of freedom of Hotelling's T-squared approximation."""
        if self.is_normal:
            return 1.0, np.inf
        own, linked = self._parts(self._standardized(rows, rank))
        nu = rank * (rank + 1.0) / _total_variance(own, linked)
        den_df = nu - rank + 1.0
        if den_df > 0.0:
            return den_df / nu, den_df
        _warn_too_few(rank, f"the covariance has {nu:.3g} degrees of freedom")
        return np.nan, np.nan

    def _parts(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Forms f'Theta f, (J, m, m), and f'X times the root of M, (J, m, p), for every cluster."""
        T = rows @ self.turned
        own = T @ self.forms.middle @ T.T
        return own, T @ self.forms.crossed @ self.root

    def _standardized(self, rows: FloatArray, rank: int) -> FloatArray:
        """Combinations whose estimated covariance has the identity as its expectation."""
        own, linked = self._parts(rows)
        expected = own.sum(axis=0) - np.einsum("gip,gjp->ij", linked, linked)
        size = np.sqrt(np.abs(np.diagonal(expected)))
        values, vectors = np.linalg.eigh(expected / np.outer(size, size))
        chosen = slice(len(values) - rank, None)
        return np.asarray((vectors[:, chosen] / np.sqrt(values[chosen])).T @ (rows / size[:, None]))


def _warn_too_few(rank: int, evidence: str) -> None:
    notify(
        InferenceWarning(
            "there are too few clusters to test these combinations together.",
            got=f"{rank} combinations; {evidence}",
            suggestion="test fewer combinations, or one at a time by `t_test`",
            rank=rank,
        )
    )


def _total_variance(own: FloatArray, linked: FloatArray) -> float:
    """Sum of the variances of all entries of the standardized covariance estimate.

    For entries s, t it is the sum over clusters g, h of P_ss P_tt + P_st P_ts, with
    P_st(g, h) = own_st(g) [g = h] - linked_s(g)' linked_t(h).
    """
    cross = linked @ linked.transpose(0, 2, 1)
    d, c = np.diagonal(own, axis1=1, axis2=2), np.diagonal(cross, axis1=1, axis2=2)
    N = np.einsum("gsp,gtq->stpq", linked, linked)
    plain = d.T @ d - d.T @ c - c.T @ d + np.sum(N * N, axis=(2, 3))
    mixed = np.sum(own * own - 2.0 * own * cross, axis=0) + np.einsum("stpq,stqp->st", N, N)
    return float(np.sum(plain + mixed))


def cluster_robust(results: Any, robust: str, clusters: Clusters, ddf: str) -> ClusterRobust:
    """Make the covariance and the tests of a result.

    Parameters
    ----------
    results : LinearMixedResults
        The fit.
    robust : str
        A key of ``ADJUSTMENTS``.
    clusters : Clusters
        From ``find_clusters``.
    ddf : {"satterthwaite", "wald"}
        Degrees of freedom.
    """
    require_exact_engine(results.any_system, "a cluster-robust covariance", EXACT)
    system, e, matrices = results.system, results.estimates, results.design.matrices
    objective = Objective(system, e.criterion == "REML")
    evaluation = objective.evaluate(objective.phi_from_theta(e.theta)).evaluation
    X = matrices.X @ system.basis.fixed
    residual = matrices.working_response - matrices.X @ e.beta
    forms = cluster_forms(
        matrices,
        e,
        X,
        evaluation.Phi,
        residual,
        clusters.codes,
        ADJUSTMENTS[robust],
        results.residual_structure,
    )
    return ClusterRobust(
        e.beta,
        e.sigma,
        forms,
        evaluation.Phi,
        system.basis.fixed,
        is_normal=ddf == "wald",
        note=f"Cluster-robust covariance {robust}, {clusters.count} clusters ({clusters.name}).",
    )


def check_robust(robust: Any, ddf: str) -> None:
    """Raise unless the kind of covariance is known and goes with the degrees of freedom."""
    if not isinstance(robust, str) or robust not in ADJUSTMENTS:
        raise OptionError(
            f"`robust={robust!r}` is not a cluster-robust covariance.",
            got=f"available: {', '.join(ADJUSTMENTS)}",
            suggestion='`robust="CR2"`',
            argument="robust",
            value=robust,
            available=tuple(ADJUSTMENTS),
        )
    if ddf not in METHODS:
        raise OptionError(
            f"`ddf={ddf!r}` does not go with a cluster-robust covariance.",
            got=f"available: {', '.join(METHODS)}",
            suggestion='`ddf="satterthwaite"`',
            argument="ddf",
            value=ddf,
            available=METHODS,
        )


def check_cluster_unused(cluster: Any) -> None:
    """Raise where clusters are given without a covariance that needs them."""
    if cluster is not None:
        raise OptionError(
            "`cluster` has a meaning with a cluster-robust covariance only.",
            got="`cluster` without `robust`",
            suggestion='`robust="CR2"`',
            argument="cluster",
        )


def find_clusters(design: Design, cluster: Any = None) -> Clusters:
    """Find the cluster of every row, and check that clusters are independent under the model.

    Parameters
    ----------
    design : Design
        The design, with its rows.
    cluster : str or array_like, optional
        A grouping factor, or one label per row (used, or passed in). Default: the grouping factor
        with the fewest levels.

    Raises
    ------
    OptionError
        The factor is not in the model.
    DimensionError, DataError
        Labels of the wrong length, or missing.
    DesignError
        A level of a grouping factor lies in several clusters, or there is one cluster only.
    """
    instead = "leave `robust` out"
    require_unrelated_levels(design.matrices, "a cluster-robust covariance", instead)
    factors = _factors(design)
    if cluster is None:
        if not factors:
            raise _no_factor(design)
        cluster = min(factors, key=lambda group: len(factors[group][1]))
    if isinstance(cluster, str):
        name, codes = cluster, _of_factor(design, cluster)
    else:
        name, codes = _of_labels(design, cluster)
    count = int(codes.max()) + 1
    if count < 2:
        raise DesignError(
            "a cluster-robust covariance needs at least two clusters.",
            got=f"one level of `{name}`",
            suggestion="cluster by a grouping factor of the model",
            cluster=name,
        )
    for group, (own, levels) in factors.items():
        _check_nested(own, codes, levels, group, name)
    return Clusters(name, codes, count)


def _factors(design: Design) -> dict[str, tuple[CodeArray, LabelArray]]:
    """Codes and levels of what correlates rows: random effects, and residuals."""
    found = {block.group: (block.codes, block.levels) for block in design.matrices.random}
    residual = design.matrices.residual
    if residual is not None and residual.correlation is not None:
        found.setdefault(residual.group, (residual.codes, residual.levels))
    return found


def _no_factor(design: Design) -> OptionError:
    return OptionError(
        "a cluster-robust covariance needs clusters, and the model has no grouping factor.",
        got=f"`{design.spec.formula.text}`",
        suggestion='one label per row, `cluster=data["g"]`',
        argument="cluster",
    )


def _of_factor(design: Design, name: str) -> IntArray:
    factors = _factors(design)
    if name in factors:
        return factors[name][0].astype(np.int64)
    available = tuple(factors)
    raise OptionError(
        f"`{name}` is not a grouping factor of the model.",
        got=f"grouping factors: {', '.join(available) or 'none'}",
        suggestion=(f'`cluster="{available[0]}"`, or ' if available else "")
        + f'one label per row: `cluster=data["{name}"]`',
        argument="cluster",
        available=available,
    )


def _of_labels(design: Design, labels: Any) -> tuple[str, IntArray]:
    values: LabelArray = np.asarray(labels, dtype=object)
    n, rows = design.matrices.n_obs, design.matrices.rows
    if values.shape == (design.spec.n_rows_data,) != (n,):
        values = values[rows]
    if values.shape != (n,):
        raise DimensionError(
            "`cluster` must name a grouping factor or hold one label for each row.",
            got=f"shape {values.shape}; {n} rows used of {design.spec.n_rows_data}",
            suggestion='`cluster="group"`, or a column of the fitted data',
            n_obs=n,
        )
    missing = int(pd.isna(values).sum())
    if missing:
        raise DataError(
            "`cluster` has missing labels.",
            got=f"{missing} of {n} rows used",
            suggestion="a label for every row used",
            missing=missing,
        )
    codes, _ = pd.factorize(values, sort=False)
    return str(getattr(labels, "name", None) or "cluster"), codes.astype(np.int64)


def _check_nested(
    levels: CodeArray, codes: IntArray, labels: LabelArray, group: str, name: str
) -> None:
    """Raise where rows of one level lie in several clusters."""
    last = np.zeros(len(labels), dtype=np.int64)
    last[levels] = codes
    crossing = np.flatnonzero(last[levels] != codes)
    if len(crossing):
        label = labels[levels[crossing[0]]]
        raise DesignError(
            f"the clusters are not independent under the model: levels of `{group}` lie in several "
            "clusters.",
            got=f"`{group}` {label} in more than one level of `{name}`",
            suggestion=f"cluster by a factor that holds each level of `{group}` whole; crossed "
            "factors have none, and cluster-robust covariances do not apply to them",
            group=group,
            cluster=name,
            level=str(label),
        )
