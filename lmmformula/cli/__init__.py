# PYTHON_ARGCOMPLETE_OK
"""The command line: ``lmmformula fit``, ``lmmformula anova``, ``lmmformula datasets``.

Results go to standard output, everything else (errors, warnings, progress) to standard error.
Page: ``docs/how-to/command-line.md``.
"""

from __future__ import annotations

from lmmformula.cli.main import main

__all__ = ["main"]
