"""From a parsed formula and data to matrices, and to the same columns for new data."""

from lmmformula.design.materialize import materialize
from lmmformula.design.spec import Design, DesignSpec, FixedTerm, NewRows

__all__ = ["Design", "DesignSpec", "FixedTerm", "NewRows", "materialize"]
