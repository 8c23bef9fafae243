"""The picture that ``--plot`` saves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lmmformula.errors import OptionError
from lmmformula.plot import overview
from lmmformula.plot.canvas import require_matplotlib

if TYPE_CHECKING:
    from lmmformula.results import LinearMixedResults

__all__ = ["check_picture", "save_picture"]

FORMATS = (".png", ".pdf", ".svg", ".eps", ".jpg", ".tif")
DPI = 300


def check_picture(path: str) -> None:
    """Raise before anything is fitted where the picture could not be saved."""
    require_matplotlib()
    file = Path(path)
    if file.suffix.lower() not in FORMATS:
        raise OptionError(
            "`--plot` needs the name of a picture.",
            got=f"`{path}`; endings: {', '.join(FORMATS)}",
            suggestion=f"`--plot {file.stem or 'fit'}.png`",
            argument="plot",
            available=FORMATS,
        )
    if not file.absolute().parent.is_dir():
        raise OptionError(
            "`--plot` names a folder that does not exist.",
            got=f"`{file.parent}`",
            suggestion=f"`--plot {file.name}`, or make the folder first",
            argument="plot",
        )


def save_picture(results: LinearMixedResults, path: str) -> None:
    """Write the overview in four panels."""
    try:
        overview(results).savefig(path, dpi=DPI)
    except OSError as error:
        raise OptionError(
            "the picture could not be written.",
            got=f"`{path}`: {error.strerror or error}",
            suggestion="`--plot` with a file that can be written",
            argument="plot",
        ) from None
