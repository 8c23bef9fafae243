"""``python -m lmmformula`` is the command line."""

from __future__ import annotations

import sys

from lmmformula.cli import main

if __name__ == "__main__":
    sys.exit(main())
