"""Methods of results that belong to layers above them, found by name when they are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

__all__ = ["JsonAccessors", "ReportAccessors"]


class JsonAccessors:
    """A fit as JSON.

    What writes and reads JSON also rebuilds models, so it stands above results and cannot be
    imported here; the name is resolved when the method runs.
    """

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """Write the fit as JSON: estimates, covariances, encoding, convergence; no rows of data.

        Parameters
        ----------
        path : str or path, optional
            File to write; without it the text is returned.

        Returns
        -------
        str or None

        See Also
        --------
        lmmformula.from_json : Reads it; the numbers come back to the last bit.

        Examples
        --------
        >>> import json, lmmformula as lf
        >>> fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
        >>> json.loads(fit.to_json())["fixed_effects"]["names"]
        ['Intercept']
        """
        text: str | None = import_module("lmmformula.interop.document").write(self, path)
        return text


class ReportAccessors:
    """A report of a fit; what writes it draws pictures too, so it stands above results."""

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        ddf: str = "satterthwaite",
        alpha: float = 0.05,
        anova: str = "III",
        figures: bool | Sequence[str] = True,
    ) -> Path:
        """Write a report of the fit: one HTML file that needs no other, to read, print or send.

        Parameters
        ----------
        path : str or path
            The file; overwritten if it exists.
        title : str, optional
            Heading; default: the response.
        ddf : str
            Degrees of freedom of all tests, as for ``summary``.
        alpha : float, default 0.05
            One less the level of the intervals.
        anova : {"III", "II", "I"}
            Type of the tests of terms.
        figures : bool or sequence of str, default True
            Pictures inside the file: kinds of ``plot``; True for those that suit the fit. Without
            matplotlib the report says what to install.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        OptionError
            An argument is not one of the documented ones, or there is no such folder.

        Examples
        --------
        >>> import tempfile, lmmformula as lf
        >>> fit = lf.lmer("Yield ~ 1 + (1 | Batch)", lf.load_dataset("dyestuff"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = fit.report(f"{folder}/fit.html", figures=False)
        ...     "Variance components" in file.read_text("utf-8")
        True
        """
        written: Path = import_module("lmmformula.publish.report").write_report(
            self, path, title=title, ddf=ddf, alpha=alpha, anova=anova, figures=figures
        )
        return written
