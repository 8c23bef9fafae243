"""Tests, intervals and comparisons of fitted models."""

from __future__ import annotations
