"""The tail's elimination, by the way its entries are stored."""

from __future__ import annotations

from lmmformula._arrays import FloatArray
from lmmformula.engine.block_layout import BlockTailLayout
from lmmformula.engine.layout import TailLayout
from lmmformula.engine.sparse.layout import SparseTailLayout
from lmmformula.engine.sparse.tail import SparseTail
from lmmformula.engine.tail import BlockTail, Tail

__all__ = ["eliminated"]


def eliminated(layout: TailLayout, Lambdas: list[FloatArray], flat: FloatArray) -> Tail:
    """Eliminate the tail.

    Parameters
    ----------
    layout : TailLayout
    Lambdas : list of ndarray, shape (k, k)
        Relative covariance factor of each tail factor.
    flat : ndarray
        Its cross-products after the first elimination, in flat storage.
    """
    if isinstance(layout, SparseTailLayout):
        return SparseTail(layout, Lambdas, flat)
    assert isinstance(layout, BlockTailLayout)
    return BlockTail(layout, Lambdas, flat)
