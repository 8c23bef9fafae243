"""Packages that only some outputs need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lmmformula.errors import OptionError

__all__ = ["require"]


def require(module: str, package: str, extra: str, what: str) -> Any:
    """Import a package, or say which extra brings it.

    Parameters
    ----------
    module, package : str
        Name in ``import`` and name in ``pip install``.
    extra : str
        Extra of this package that installs it.
    what : str
        What needs it, as the subject of a sentence.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise OptionError(
            f"{what} needs {package}, which is not installed.",
            got=str(error),
            suggestion=f'`pip install "lmmformula[{extra}]"`',
            extra=extra,
        ) from error
