"""What everything that prints itself has in common: one text, written for whoever asks."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lmmformula.report.render import Medium

__all__ = ["Printed"]


class Printed(ABC):
    """Tables in every medium, from one method that writes them."""

    __slots__ = ()

    @abstractmethod
    def _write(self, medium: Medium) -> str:
        """Write the tables for one medium."""

    def as_text(self) -> str:
        """Plain text, for a terminal."""
        return self._write("text")

    def as_html(self) -> str:
        """HTML tables without scripts or style sheets."""
        return f'<div class="lmmformula">\n{self._write("html")}\n</div>'

    def as_latex(self) -> str:
        """LaTeX tables; they need the package ``booktabs``."""
        return self._write("latex")

    def as_markdown(self) -> str:
        """Markdown pipe tables."""
        return self._write("markdown")

    def __str__(self) -> str:
        return self.as_text()

    def __repr__(self) -> str:
        return self.as_text()

    def _repr_html_(self) -> str:
        return self.as_html()

    def _repr_latex_(self) -> str:
        return self.as_latex()
