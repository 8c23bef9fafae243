r"""Henderson's mixed model equations of a fit, written out and solved.

.. math::
    \begin{pmatrix} X'R^{-1}X & X'R^{-1}Z \\ Z'R^{-1}X & Z'R^{-1}Z + G^{-1} \end{pmatrix}
    \begin{pmatrix} \hat\beta \\ \hat b \end{pmatrix} =
    \begin{pmatrix} X'R^{-1}y \\ Z'R^{-1}y \end{pmatrix}

with R the covariance of the residuals and G that of the random effects, both at the estimates.
Nothing of the engine's solution is used: the equations are a second way to the same numbers.

References
----------
Henderson (1950), Annals of Mathematical Statistics 21, 309-310 (abstract).
Henderson, Kempthorne, Searle and von Krosigk (1959), Biometrics 15, 192-218.
Robinson (1991), Statistical Science 6, 15-32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy import sparse

from lmmformula._arrays import FloatArray
from lmmformula.errors import OptionError
from lmmformula.inference.equations.absorbed import FixedEquations
from lmmformula.inference.equations.display import equations_table
from lmmformula.inference.equations.solver import Solver, chunks, solver
from lmmformula.matrices import RandomBlock
from lmmformula.postfit.effects import random_effects
from lmmformula.report.printed import Printed
from lmmformula.report.render import Medium, render

__all__ = ["FIXED", "MixedModelEquations"]

FIXED = "fixed"
"""What stands for a grouping factor in the rows of fixed effects."""
MAX_FRAME = 1000
MAX_INVERSE = 5000


@dataclass(frozen=True, eq=False, repr=False)
class MixedModelEquations(Printed):
    """Henderson's equations of one fit.

    Attributes
    ----------
    formula : str
        The formula of the fit.
    form : {"henderson", "spherical"}
        Unknowns: beta and b; or beta and u with b = Lambda u and Var(u) = sigma^2 I, which exists
        for singular G as well (Lambda then takes the place of the inverse).
    X : ndarray, shape (n, p)
        Fixed-effects columns.
    Z : sparse array, shape (n, q)
        Random-effects columns: term by term, level by level.
    y : ndarray, shape (n,)
        Response less offset.
    R_inverse : sparse array, shape (n, n)
        Inverse of the covariance of the residuals.
    penalty : sparse array, shape (q, q)
        Inverse of G; in the spherical form I / sigma^2.
    Lambda : sparse array, shape (q, q)
        Relative factor of G: G = sigma^2 Lambda Lambda'.
    fixed_names : tuple of str, length p
        Names of the fixed effects.
    blocks : tuple of RandomBlock
        The random-effects terms.
    remarks : tuple of str
        What to know of the form, below the table.
    """

    formula: str
    form: str
    X: FloatArray
    Z: sparse.csr_array
    y: FloatArray
    R_inverse: sparse.csr_array
    penalty: sparse.csc_array
    Lambda: sparse.csc_array
    fixed_names: tuple[str, ...]
    blocks: tuple[RandomBlock, ...]
    remarks: tuple[str, ...] = ()

    # -- names -----------------------------------------------------------------------------------

    @property
    def n_fixed(self) -> int:
        """Number of fixed effects p."""
        return len(self.fixed_names)

    @property
    def n_random(self) -> int:
        """Number of random effects q, over all levels."""
        return int(self.Z.shape[1])

    @cached_property
    def index(self) -> pd.MultiIndex:
        """Names of the unknowns: ``grp, level, effect``; fixed effects have grp "fixed"."""
        rows = [(FIXED, "", name) for name in self.fixed_names]
        for block in self.blocks:
            for level in block.levels:
                rows += [(block.group, level, name) for name in block.effect_names]
        return pd.MultiIndex.from_tuples(rows, names=["grp", "level", "effect"])

    # -- the equations ---------------------------------------------------------------------------

    @cached_property
    def _random_columns(self) -> sparse.csr_array:
        """Z, or Z Lambda in the spherical form."""
        return self.Z if self.form == "henderson" else sparse.csr_array(self.Z @ self.Lambda)

    @cached_property
    def fixed_block(self) -> pd.DataFrame:
        """X'R^-1X, shape (p, p)."""
        names = pd.Index(self.fixed_names)
        return pd.DataFrame(self.X.T @ (self.R_inverse @ self.X), index=names, columns=names)

    @cached_property
    def cross_block(self) -> sparse.csr_array:
        """X'R^-1Z, sparse, shape (p, q); of Z Lambda in the spherical form."""
        products = self._random_columns.T @ (self.R_inverse @ self.X)
        return sparse.csr_array(np.asarray(products).T)

    @cached_property
    def random_block(self) -> sparse.csc_array:
        """Z'R^-1Z + G^-1, sparse, shape (q, q); of Z Lambda, with I / sigma^2, if spherical."""
        Z = self._random_columns
        return sparse.csc_array(Z.T @ (self.R_inverse @ Z) + self.penalty)

    @cached_property
    def coefficient_matrix(self) -> sparse.csc_array:
        """All blocks, sparse and symmetric, shape (p + q, p + q); order as ``index``."""
        upper = sparse.hstack([sparse.csr_array(self.fixed_block.to_numpy()), self.cross_block])
        lower = sparse.hstack([self.cross_block.T, self.random_block])
        return sparse.csc_array(sparse.vstack([upper, lower]))

    @cached_property
    def right_hand_side(self) -> pd.Series:
        """X'R^-1y and Z'R^-1y."""
        weighted = self.R_inverse @ self.y
        values = np.concatenate([self.X.T @ weighted, self._random_columns.T @ weighted])
        return pd.Series(values, index=self.index, name="right_hand_side")

    def to_frame(self) -> pd.DataFrame:
        """Write coefficients and right-hand sides as one table, for at most 1,000 unknowns."""
        self._check_size(MAX_FRAME, "a table of all equations", "`coefficient_matrix`, sparse")
        columns = pd.Index([str(label) for label in self.labels])
        frame = pd.DataFrame(self.coefficient_matrix.toarray(), index=columns, columns=columns)
        frame["right_hand_side"] = self.right_hand_side.to_numpy()
        return frame

    @property
    def labels(self) -> list[str]:
        """Names of the unknowns in one piece: ``Days``, ``Subject 308: Days``."""
        return [
            effect if position < self.n_fixed else f"{group} {level}: {effect}"
            for position, (group, level, effect) in enumerate(self.index)
        ]

    # -- their solution --------------------------------------------------------------------------

    @cached_property
    def _solve(self) -> Solver:
        return solver(self.coefficient_matrix)

    @cached_property
    def unknowns(self) -> pd.Series:
        """Solution as the equations have it: beta and b, or beta and u in the spherical form."""
        values = self._solve(self.right_hand_side.to_numpy())
        return pd.Series(values, index=self.index, name="unknowns")

    @cached_property
    def solution(self) -> pd.Series:
        """Fixed effects (generalised least squares) and random effects b (best predictors)."""
        values = self.unknowns.to_numpy().copy()
        if self.form == "spherical":
            values[self.n_fixed :] = self.Lambda @ values[self.n_fixed :]
        return pd.Series(values, index=self.index, name="solution")

    @property
    def fixed(self) -> pd.Series:
        """Fixed effects of the solution, named as ``params``."""
        values = self.solution.to_numpy()[: self.n_fixed].copy()
        return pd.Series(values, index=pd.Index(self.fixed_names), name="fixed")

    @property
    def random(self) -> dict[str, pd.DataFrame]:
        """Random effects of the solution, laid out as ``random_effects``."""
        values = self.solution.to_numpy()[self.n_fixed :]
        ends = np.cumsum([block.n_levels * block.n_effects for block in self.blocks])
        modes = [
            part.reshape(block.n_levels, block.n_effects)
            for part, block in zip(np.split(values, ends[:-1]), self.blocks, strict=False)
        ]
        return random_effects(self.blocks, modes)

    # -- what its inverse says -------------------------------------------------------------------

    @cached_property
    def _back(self) -> sparse.csc_array:
        """From the unknowns to beta and b."""
        if self.form == "henderson":
            return sparse.csc_array(sparse.eye_array(self.n_fixed + self.n_random))
        return sparse.csc_array(sparse.block_diag([sparse.eye_array(self.n_fixed), self.Lambda]))

    def inverse(self) -> pd.DataFrame:
        """C, the covariance of the errors of beta and b, for at most 5,000 unknowns.

        Returns
        -------
        DataFrame, shape (p + q, p + q)
            Var(beta_hat - beta) and Var(b_hat - b) on the diagonal, given the covariance
            parameters. In the spherical form the inverse is carried from u to b.
        """
        self._check_size(MAX_INVERSE, "the inverse", "`bse` and `prediction_error_variance`")
        back = self._back
        C = back @ self._solve(back.T.toarray())
        return pd.DataFrame((C + C.T) / 2.0, index=self.index, columns=self.index)

    @cached_property
    def variances(self) -> pd.Series:
        """Diagonal of ``inverse()``, without forming it: one solution for every unknown."""
        transposed = sparse.csc_array(self._back.T)
        values = np.empty(len(self.index))
        for part in chunks(len(values), len(values)):
            right = transposed[:, part].toarray()
            values[part] = np.einsum("ij,ij->j", right, self._solve(right))
        return pd.Series(values, index=self.index, name="variances")

    @property
    def bse(self) -> pd.Series:
        """Standard errors of the fixed effects."""
        right = np.eye(len(self.index), self.n_fixed)
        variances = np.diagonal(self._solve(right)) if self.n_fixed else np.empty(0)
        return pd.Series(np.sqrt(variances), index=pd.Index(self.fixed_names), name="bse")

    @property
    def prediction_error_variance(self) -> pd.Series:
        """Var(b_hat - b) of every random effect; unlike ``ranef(condvar=True)`` beta is unknown."""
        return self.variances.iloc[self.n_fixed :].rename("prediction_error_variance")

    def absorbed(self) -> FixedEquations:
        """Eliminate the random effects: what remains for beta is X'V^-1X beta = X'V^-1y."""
        cross = self.cross_block.toarray()
        right = self.right_hand_side.to_numpy()
        solve = solver(self.random_block)
        p = self.n_fixed
        matrix = self.fixed_block.to_numpy() - cross @ solve(np.ascontiguousarray(cross.T))
        remaining = right[:p] - cross @ solve(right[p:])
        return FixedEquations(self.formula, self.fixed_names, (matrix + matrix.T) / 2.0, remaining)

    # -- printing --------------------------------------------------------------------------------

    def _check_size(self, limit: int, what: str, instead: str) -> None:
        if len(self.index) > limit:
            raise OptionError(
                f"{what} would be too large.",
                got=f"{len(self.index):,} unknowns; the limit is {limit:,}",
                suggestion=instead,
                n_unknowns=len(self.index),
                limit=limit,
            )

    def _write(self, medium: Medium) -> str:
        return render(equations_table(self), medium)
