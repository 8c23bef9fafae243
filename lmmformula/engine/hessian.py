r"""The exact second derivatives of the criterion in the entries of the relative covariances.

For directions i, j of the covariances (their entries, or what a structure moves along), with
:math:`H_i = Z(I \otimes D_i)Z'`,

.. math:: f_{ij} = -tr(PH_iPH_j) + 2(\nu/s)\, r'H_iPH_jr - (\nu/s^2)(r'H_ir)(r'H_jr)

(ML: :math:`H^{-1}` for P in the trace). The average information drops the trace and halves the
middle term. All traces are built from the blocks that elimination leaves, never from a q x q
matrix of the first factor.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.engine.block_layout import BlockTailLayout
from lmmformula.engine.evaluation import Evaluation
from lmmformula.engine.kernels import block_product, pair_traces
from lmmformula.engine.sparse.requirements import require_dense_tail
from lmmformula.engine.tail import Blocks, BlockTail

__all__ = ["average_information", "exact_hessian", "in_model_order", "residual_forms", "traces"]


def average_information(evaluation: Evaluation) -> FloatArray:
    """Average information in the terms' covariance entries, (T, T), model order."""
    scale = evaluation.nu / evaluation.pwrss
    c = residual_forms(evaluation)
    products = scale * evaluation.working_products - (scale / evaluation.pwrss) * np.outer(c, c)
    return in_model_order(evaluation, products)


def exact_hessian(evaluation: Evaluation) -> FloatArray:
    """Exact Hessian in the terms' covariance entries, (T, T), model order."""
    scale = evaluation.nu / evaluation.pwrss
    c = residual_forms(evaluation)
    products = (
        2.0 * scale * evaluation.working_products
        - (scale / evaluation.pwrss) * np.outer(c, c)
        - traces(evaluation)
    )
    return in_model_order(evaluation, products)


def residual_forms(evaluation: Evaluation) -> FloatArray:
    """r'H_i r for every direction, by factor."""
    return evaluation.forms(evaluation.residual_blocks)


def in_model_order(evaluation: Evaluation, matrix: FloatArray) -> FloatArray:
    """Reorder rows and columns from elimination order to the model's order of terms."""
    order = evaluation.direction_order
    return matrix if order is None else matrix[np.ix_(order, order)]


@singledispatch
def traces(evaluation: Evaluation) -> FloatArray:
    """tr(P H_i P H_j) for all pairs of directions, by factor."""
    instead = '`fit(method="dense")`, if its block fits in memory'
    require_dense_tail(evaluation.system, "the expected curvature", instead)
    if not evaluation.system.first.terms:
        return np.zeros((0, 0)) if evaluation.tail is None else _tail_traces(evaluation)
    inner = _FirstDirections(evaluation)
    first = _first_traces(evaluation, inner)
    if evaluation.tail is None:
        return first
    mixed = _mixed_traces(evaluation, inner)
    return np.block([[first, mixed], [mixed.T, _tail_traces(evaluation)]])


def _blocks(evaluation: Evaluation) -> BlockTail:
    tail = evaluation.tail
    assert isinstance(tail, BlockTail)
    return tail


class _FirstDirections:
    """The tail-side pieces of the first factor's directions, computed once for all directions.

    With F = [E C, E X1] the first factor's rows after elimination, T_i = F'(I x D_i)F; B maps X to
    the tail's columns, B = [-N A_cX; I], so that the projection over tail and X is N + B Phi B'.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        system = evaluation.system
        p = system.p
        directions = evaluation.directions[0]
        self.Phi = evaluation.Phi_logdet
        k = system.first.k
        X = block_product(evaluation.E, system.first_xy[:, :p])
        rows = X.reshape(k * p, system.first.n_levels)
        pairs = (rows @ rows.T).reshape(k, p, k, p).transpose(0, 2, 1, 3).reshape(k * k, p * p)
        n = len(directions)
        self.XX = (directions.reshape(n, k * k) @ pairs).reshape(n, p, p)
        self.cc: list[Blocks] = []
        self.NT: list[Blocks] = []
        self.B: FloatArray | None = None
        self.TB: list[FloatArray] = []
        BTB = self.XX
        if evaluation.tail is not None:
            tail = _blocks(evaluation)
            self.B = -evaluation.N_xy[:, :p]
            extra = []
            E_transposed = evaluation.E.transpose(1, 0, 2)
            for direction, flat in zip(
                directions, system.cross.grams(evaluation.E, directions), strict=True
            ):
                blocks = tail.layout.blocks(flat)
                self.cc.append(blocks)
                self.NT.append(tail.products(tail.N, blocks))
                DX = np.einsum("ab,brj->arj", direction, X)
                cX = system.cross.transpose_times(block_product(E_transposed, DX))
                TB = tail.apply(blocks, self.B) + cX
                self.TB.append(TB)
                extra.append(self.B.T @ TB + cX.T @ self.B)
            BTB = self.XX + np.stack(extra)
        self.BTB = BTB


def _first_traces(evaluation: Evaluation, inner: _FirstDirections) -> FloatArray:
    """Both directions in the first factor."""
    directions = evaluation.directions[0]
    explained = evaluation.first_explained
    local = pair_traces(evaluation.G0 - explained, directions, directions)
    local -= pair_traces(explained, directions, directions)
    n = len(directions)
    PhiBTB = np.matmul(inner.Phi, inner.BTB)
    low_rank = np.einsum("irs,jsr->ij", PhiBTB, PhiBTB)
    if evaluation.tail is None:
        return local + low_rank
    tail = _blocks(evaluation)
    for bucket in range(len(tail.N)):
        stacked = np.stack([blocks[bucket] for blocks in inner.NT])
        local += stacked.reshape(n, -1) @ stacked.transpose(0, 1, 3, 2).reshape(n, -1).T
    if evaluation.reml:
        TB = np.stack(inner.TB)
        NTB = np.stack([tail.apply(tail.N, value) for value in inner.TB])
        local += 2.0 * np.einsum("icp,pr,jcr->ij", TB, inner.Phi, NTB, optimize=True)
    return local + low_rank


def _mixed_traces(evaluation: Evaluation, inner: _FirstDirections) -> FloatArray:
    """First factor against the tail: tr(D_j sum_l [R T_i R']_ll), R the tail's rows of I - A Q."""
    tail = _blocks(evaluation)
    layout = tail.layout
    columns = []
    F = evaluation.tail_X
    for i, blocks in enumerate(inner.cc):
        ET = tail.E_times(blocks, inner.NT[i])
        if evaluation.reml:
            ETB = tail.apply(tail.E, inner.TB[i]) @ inner.Phi
            PBP = inner.Phi @ inner.BTB[i] @ inner.Phi
        row = []
        for f in range(len(layout.factors)):
            total = tail.row_products(ET, tail.E, f)
            if evaluation.reml:
                F_f, ETB_f = evaluation.of_factor(F, f), evaluation.of_factor(ETB, f)
                crossing = np.einsum("jap,jbp->ab", ETB_f, F_f)
                total = total - crossing - crossing.T
                total = total + np.einsum("jap,pr,jbr->ab", F_f, PBP, F_f, optimize=True)
            row.append(np.einsum("tab,ab->t", evaluation.directions[f + 1], total))
        columns.append(np.concatenate(row))
    return np.stack(columns)


def _tail_traces(evaluation: Evaluation) -> FloatArray:
    """Both directions in the tail."""
    tail = _blocks(evaluation)
    layout, directions = tail.layout, evaluation.directions[1:]
    F, Phi = evaluation.tail_X, evaluation.Phi
    G0 = tail.EA
    removed = None
    if evaluation.reml:
        gathered = layout.gather(F)
        removed = [np.matmul(part @ Phi, part.transpose(0, 2, 1)) for part in gathered]
        G0 = [G - W for G, W in zip(G0, removed, strict=True)]
    moved = None
    if removed is not None and not layout.is_single:
        moved = [
            np.einsum("tab,jap,jbr->tpr", directions[f], part, part, optimize=True)
            for f in range(len(directions))
            for part in (evaluation.of_factor(F, f),)
        ]
    rows = []
    for f, left in enumerate(directions):
        row = []
        for g, right in enumerate(directions):
            pair = left, right
            block = _bucket_traces(G0, layout, f, g, *pair)
            if removed is not None and moved is not None:
                block = block - _bucket_traces(removed, layout, f, g, *pair)
                turned = np.matmul(Phi, moved[f]), np.matmul(Phi, moved[g])
                block = block + np.einsum("ipq,jqp->ij", *turned)
            row.append(block)
        rows.append(row)
    return np.block(rows)


def _bucket_traces(
    blocks: list[FloatArray],
    layout: BlockTailLayout,
    f: int,
    g: int,
    left: FloatArray,
    right: FloatArray,
) -> FloatArray:
    """Pair traces over all level pairs of two tail factors within components."""
    k, m = layout.factors[f].k, layout.factors[g].k
    total = np.zeros((len(left), len(right)))
    for bucket, block in zip(layout.buckets, blocks, strict=True):
        (rows, n), (columns, r) = bucket.parts[f], bucket.parts[g]
        square = block[:, rows, columns].reshape(len(block), n, k, r, m)
        total += pair_traces(square.transpose(2, 4, 0, 1, 3).reshape(k, m, -1), left, right)
    return total
