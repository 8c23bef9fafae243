"""The figure that plots return. Imports matplotlib; import it inside functions only."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure

__all__ = ["Picture"]


class Picture(Figure):
    """A figure that no window manager holds: it shows itself in notebooks and frees itself.

    ``savefig`` writes it. To see it in a window, draw into a figure of pyplot:
    ``fit.plot(figure=plt.figure())``.
    """

    def _repr_png_(self) -> bytes:
        with BytesIO() as stream:
            self.savefig(stream, format="png")
            return stream.getvalue()
