"""Functions that a formula may call, with the meaning that they have in R.

Those that learn from the data (``poly``, ``ns``, ``bs``, ``scale``, ``mean``, ...) are stateful
transforms of formulaic: what they learned at fitting is used again on new data.
"""

from __future__ import annotations

import math
from typing import Any

from formulaic.transforms import TRANSFORMS as FORMULAIC

from lmmformula.formula.transforms.categories import cut
from lmmformula.formula.transforms.elementwise import ELEMENTWISE, R_NAMES
from lmmformula.formula.transforms.learned import SUMMARIES, center, scale, standardize
from lmmformula.formula.transforms.polynomial import poly
from lmmformula.formula.transforms.splines import bs, ns

__all__ = ["R_NAMES", "TRANSFORMS"]

TRANSFORMS: dict[str, Any] = {
    **FORMULAIC,
    **ELEMENTWISE,
    **SUMMARIES,
    "pi": math.pi,
    "poly": poly,
    "bs": bs,
    "ns": ns,
    "scale": scale,
    "center": center,
    "standardize": standardize,
    "cut": cut,
}
"""Everything that an expression may name besides columns, by the name in the evaluated code."""
