"""Everything that can be drawn has ``plot``.

Pictures are made in ``lmmformula.plot``, above everything that they show. This module looks it up
when a picture is asked for, so that nothing below imports it, and matplotlib stays optional.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawn"]


class Drawn:
    """The method ``plot``."""

    __slots__ = ()
    _picture: ClassVar[str] = "overview"
    """The plot that is drawn where no kind is asked for."""

    def plot(self, kind: str | None = None, *args: Any, **options: Any) -> Figure:
        """Draw a picture; needs matplotlib (``pip install "lmmformula[plot]"``).

        Parameters
        ----------
        kind : str, optional
            Name of a plot, a function of ``lmmformula.plot``: of a fit "panels", "caterpillar",
            "residuals", "qq", "coefficients", ...; default: the usual picture of the object, for
            a fit an overview in four panels.
        *args, **options
            Options of that plot; all take ``ax`` and ``figure``.

        Returns
        -------
        Figure
            Shows itself in a notebook; ``savefig`` writes it.

        Raises
        ------
        OptionError
            Matplotlib is missing, or there is no such plot or option.
        """
        figure: Figure = import_module("lmmformula.plot").draw(
            self._picture if kind is None else kind, self, *args, **options
        )
        return figure
