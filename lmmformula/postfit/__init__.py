"""What a fit says about its rows and levels: predictions, modes, tidy tables, files."""

from __future__ import annotations
