"""First and second derivatives of many criteria in the covariance entries."""

from __future__ import annotations

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.kernels import block_product
from lmmformula.engine.lockstep.evaluation import Derivatives, LockstepEvaluation
from lmmformula.engine.system import BlockedSystem

__all__ = ["derivatives", "trace_coefficients"]


def _t(blocks: FloatArray) -> FloatArray:
    return np.swapaxes(blocks, -1, -2)


def derivatives(evaluation: LockstepEvaluation, coefficients: FloatArray) -> Derivatives:
    """Blocks D of every factor, average information and exact Hessian.

    Parameters
    ----------
    evaluation : LockstepEvaluation
    coefficients : ndarray
        ``trace_coefficients`` of the first factor's directions.
    """
    with np.errstate(all="ignore"):
        return _Derivatives(evaluation, coefficients).result()


class _Derivatives:
    def __init__(self, evaluation: LockstepEvaluation, coefficients: FloatArray) -> None:
        self.coefficients = coefficients
        self.e, self.system = evaluation, evaluation.system
        self.q, self.n = evaluation.q, len(evaluation.value)
        self.directions = self.system.first.directions
        self.rho = evaluation.first_residual
        EW = evaluation.EW
        k = len(EW)
        self.Q = {
            (a, b): EW[a] @ _t(EW[b]) for a in range(k) for b in range(a, k)
        }  # sums over levels of EW_a' EW_b
        self.Qr = np.stack([EW[a] @ self.rho.transpose(1, 2, 0) for a in range(k)])
        self.traced_R = evaluation.R if evaluation.reml else evaluation.R[:, :, : self.q]

    def gram(self, a: int, b: int) -> FloatArray:
        """Q for any order of effects."""
        return self.Q[a, b] if a <= b else _t(self.Q[b, a])

    def result(self) -> Derivatives:
        e = self.e
        G0 = block_product(e.E, np.broadcast_to(e.stack.gram, e.E.shape))
        G0 = 0.5 * (G0 + np.swapaxes(G0, 0, 1))
        T = self._moved()
        B = [self._first_blocks(G0, T)]
        C = [np.einsum("arj,brj->rab", self.rho, self.rho)]
        traces, products = self._first_pairs(G0, T)
        if self.q:
            tail_traces, tail_products, tail_B, tail_C = self._with_tail()
            B, C = B + tail_B, C + tail_C
            traces = _bordered(traces, *tail_traces)
            products = _bordered(products, *tail_products)
        scale = (e.nu / e.pwrss)[:, None, None]
        blocks = [b - scale * c for b, c in zip(B, C, strict=True)]
        forms = self._forms(C)
        common = (scale / e.pwrss[:, None, None]) * forms[:, :, None] * forms[:, None, :]
        average = scale * products - common
        return Derivatives(blocks, average, average + scale * products - traces)

    def _forms(self, C: list[FloatArray]) -> FloatArray:
        """r'H_i r, (R, T)."""
        return np.concatenate(
            [
                np.einsum("tab,rab->rt", factor.directions, block)
                for factor, block in zip(self.system.factors, C, strict=True)
            ],
            axis=1,
        )

    def _moved(self) -> dict[tuple[int, int], FloatArray]:
        """Sums over levels of U_a' U_b, (R, u, u)."""
        R = self.traced_R
        return {pair: _t(R) @ Q @ R for pair, Q in self.Q.items()}

    def _first_blocks(self, G0: FloatArray, T: dict[tuple[int, int], FloatArray]) -> FloatArray:
        B = G0.sum(axis=3).transpose(2, 0, 1)
        for (a, b), block in T.items():
            explained = np.einsum("ruu->r", block)
            B[:, a, b] -= explained
            if a != b:
                B[:, b, a] -= explained
        return B

    def _first_pairs(
        self, G0: FloatArray, T: dict[tuple[int, int], FloatArray]
    ) -> tuple[FloatArray, FloatArray]:
        """Traces and working products with both directions in the first factor, (R, T, T)."""
        e, n_dir = self.e, len(self.directions)
        rows, columns = np.triu_indices(len(self.rho))
        m = len(rows)
        U = np.swapaxes(self.traced_R, 1, 2) @ e.EW
        planes = np.empty((self.n, 3 * m, G0.shape[3]))
        planes[:, :m] = G0[rows, columns].transpose(1, 0, 2)
        for x, (a, b) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
            np.einsum("ruj,ruj->rj", U[a], U[b], out=planes[:, m + x])
            np.multiply(self.rho[a], self.rho[b], out=planes[:, 2 * m + x])
        sums = (planes[:, :m] @ _t(planes)).reshape(self.n, m, 3, m).transpose(2, 0, 1, 3)
        local = (sums.reshape(3, self.n, m * m) @ self.coefficients.T).reshape(
            3, self.n, n_dir, n_dir
        )
        moved = np.stack([self._directed(T, direction) for direction in self.directions], axis=1)
        flat = moved.reshape(self.n, n_dir, -1)
        traces = local[0] - local[1] - _t(local[1]) + flat @ _t(flat)
        self.h = np.einsum("tab,arcb->rtc", self.directions, self.Qr, optimize=True)
        g = self.h @ e.R
        return traces, local[2] - g @ _t(g)

    def _directed(
        self, blocks: dict[tuple[int, int], FloatArray], direction: FloatArray
    ) -> FloatArray:
        """``sum_ab D[a, b] block[a, b]``."""
        total: FloatArray | None = None
        for (a, b), block in blocks.items():
            weight = direction[a, b]
            if weight:
                part = weight * (block if a == b else block + _t(block))
                total = part if total is None else total + part
        assert total is not None
        return total

    def _with_tail(
        self,
    ) -> tuple[
        tuple[FloatArray, FloatArray],
        tuple[FloatArray, FloatArray],
        list[FloatArray],
        list[FloatArray],
    ]:
        """(mixed, tail) traces and products, and the tail's blocks B and C."""
        e, tail = self.e, self.system.tail
        V, G = e.V(projected=True), e.tail_gram(projected=True)
        traced_V, traced_G = V, G
        if not e.reml:
            traced_V, traced_G = e.V(projected=False), e.tail_gram(projected=False)
        n_tail = sum(len(factor.directions) for factor in tail.factors)
        W = np.zeros((self.n, n_tail, self.q))
        B, C, position = [], [], 0
        for factor, start in zip(tail.factors, tail.starts, strict=True):
            columns = slice(start, start + factor.n_columns)
            k, n_dir = factor.k, len(factor.directions)
            rho = e.tail_residual[:, columns].reshape(self.n, factor.n_levels, k)
            working = np.einsum("tab,rjb->rtja", factor.directions, rho)
            W[:, position : position + n_dir, columns] = working.reshape(self.n, n_dir, -1)
            position += n_dir
            C.append(_t(rho) @ rho)
            B.append(_level_blocks(traced_G[:, columns, columns], k))
        products = (self.h @ V @ _t(W), W @ G @ _t(W))
        traces = (self._mixed_traces(traced_V), _tail_traces(self.system, traced_G))
        return traces, products, B, C

    def _mixed_traces(self, V: FloatArray) -> FloatArray:
        """tr(D_i V_jl D_t V_jl') summed over levels of both, (R, T_first, T_tail)."""
        tail = self.system.tail
        rows = []
        for direction in self.directions:
            moved = self._directed(self.Q, direction) @ V
            row = []
            for factor, start in zip(tail.factors, tail.starts, strict=True):
                columns = slice(start, start + factor.n_columns)
                shape = self.n, V.shape[1], factor.n_levels, factor.k
                left, right = V[:, :, columns].reshape(shape), moved[:, :, columns].reshape(shape)
                sums = np.einsum("rcla,rclb->rab", left, right)
                row.append(np.einsum("tab,rab->rt", factor.directions, sums))
            rows.append(np.concatenate(row, axis=1))
        return np.stack(rows, axis=1)


def _level_blocks(square: FloatArray, k: int) -> FloatArray:
    """Sum of the (k, k) diagonal blocks, (R, k, k)."""
    n, m, _ = square.shape
    if k == 1:
        return np.einsum("rjj->r", square)[:, None, None]
    return np.einsum("rjajb->rab", square.reshape(n, m // k, k, m // k, k))


def _tail_traces(system: BlockedSystem, G: FloatArray) -> FloatArray:
    """Both directions in the tail, (R, T_tail, T_tail)."""
    tail, n = system.tail, len(G)
    rows = []
    for left, start in zip(tail.factors, tail.starts, strict=True):
        row = []
        for right, other in zip(tail.factors, tail.starts, strict=True):
            block = G[:, start : start + left.n_columns, other : other + right.n_columns]
            shape = n, left.n_levels, left.k, right.n_levels, right.k
            split = block.reshape(shape).transpose(0, 2, 4, 1, 3)
            planes = split.reshape(n, left.k * right.k, -1)
            pairs = (planes @ _t(planes)).reshape(n, left.k, right.k, left.k, right.k)
            row.append(
                np.einsum(
                    "racbd,iab,jcd->rij",
                    pairs,
                    left.directions,
                    right.directions,
                    optimize=True,
                )
            )
        rows.append(np.concatenate(row, axis=2))
    return np.concatenate(rows, axis=1)


def _bordered(first: FloatArray, mixed: FloatArray, tail: FloatArray) -> FloatArray:
    """Symmetric block matrix."""
    top = np.concatenate([first, mixed], axis=2)
    return np.concatenate([top, np.concatenate([_t(mixed), tail], axis=2)], axis=1)


def trace_coefficients(D: FloatArray) -> FloatArray:
    """Coefficients of tr(D_i X D_j Y) in the upper triangles of X and Y, (T^2, m^2)."""
    k = D.shape[1]
    rows, columns = np.triu_indices(k)
    one_hot = np.zeros((k, k, len(rows)))
    one_hot[rows, columns, np.arange(len(rows))] = 1.0
    one_hot[columns, rows, np.arange(len(rows))] = 1.0
    half = np.einsum("iac,cbx->iabx", D, one_hot)
    full = np.einsum("iabx,jbay->ijxy", half, half)
    return full.reshape(len(D) ** 2, len(rows) ** 2)
