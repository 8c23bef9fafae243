"""Draw the covariance structures, from the classes that fits use.

    python docs/learn/figures/draw_structures.py [FOLDER]

writes one PNG for each family into FOLDER (by default the folder of this file). Needs matplotlib.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lmmformula.covariance import STRUCTURES
from lmmformula.residual_covariance import CORRELATIONS

DAYS = np.arange(5.0)
UNEQUAL = np.array([0.0, 1.0, 2.0, 5.0, 7.0])
GROWING = np.array([0.6, 0.7, 0.9, 1.1, 1.3])
PLACES = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.5], [2.0, 1.5], [3.0, 3.0]])
RESIDUAL = 0.4
"""Residual variance beside a random term, in the pictures of the responses."""

PAIRS = (0.8, 0.5, 0.7, 0.5, 0.4, 0.6, -0.2, 0.1, 0.3, 0.5)


@dataclass(frozen=True)
class Row:
    """One structure as it is drawn.

    Attributes
    ----------
    word : str
        Word of a formula, or of ``residual=``.
    correlations : sequence of float
        Natural correlation parameters.
    sd : ndarray
        Standard deviations.
    places : ndarray
        Times (k,), or coordinates (k, d).
    """

    word: str
    correlations: Sequence[float] = ()
    sd: np.ndarray = field(default_factory=lambda: np.ones(5))
    places: np.ndarray = field(default_factory=lambda: DAYS)

    @property
    def points(self) -> np.ndarray:
        """Coordinates, (k, d)."""
        return self.places.reshape(len(self.places), -1)

    @property
    def distances(self) -> np.ndarray:
        """Between all pairs, (k, k)."""
        return np.linalg.norm(self.points[:, None] - self.points[None], axis=-1)

    @property
    def on_residuals(self) -> bool:
        """Whether residuals can have it."""
        return self.word in CORRELATIONS

    @property
    def on_effects(self) -> bool:
        """Whether random effects can have it."""
        return self.word in STRUCTURES

    @property
    def covariance(self) -> np.ndarray:
        """The structure's matrix, by its own class."""
        k = len(self.places)
        if self.word in ("us", "homus"):
            correlation = CORRELATIONS["homus"].correlation(k)
        elif self.word in CORRELATIONS:
            correlation = CORRELATIONS[self.word].correlation(k)
        else:
            structure: Any = STRUCTURES[self.word].build(self.points)
            correlation = getattr(structure, "family", None)
            if correlation is None:  # diag
                return np.diag(self.sd**2)
        phi = correlation.from_natural(np.asarray(self.correlations, dtype=float))
        values = correlation.values(phi, self.points[:, None], self.points[None])
        return values * np.outer(self.sd, self.sd)


FIGURES: dict[str, tuple[Row, ...]] = {
    "us": (Row("us", PAIRS, GROWING), Row("homus", PAIRS)),
    "diag": (Row("diag", (), GROWING), Row("homdiag")),
    "cs": (Row("cs", (0.6,), GROWING), Row("homcs", (0.6,))),
    "ar1": (Row("ar1", (0.7,)), Row("hetar1", (0.7,), GROWING)),
    "arma": (Row("arma", (0.8, -0.4)), Row("hetarma", (0.8, -0.4), GROWING)),
    "toep": (
        Row("toep", (0.7, 0.5, 0.1, 0.2), GROWING),
        Row("homtoep", (0.7, 0.5, 0.1, 0.2)),
    ),
    "ou": (Row("ou", (0.8,), np.ones(5), UNEQUAL), Row("car1", (0.8,), np.ones(5), UNEQUAL)),
    "exp": (Row("exp", (2.0,), np.ones(5), PLACES),),
}
"""Pictures by file name; ``variance.png`` is drawn beside them."""

MARKS = {
    "residual=": {"marker": "o", "color": "C0"},
    "random term + residual": {"marker": "x", "color": "C1"},
}


def responses(row: Row) -> np.ndarray:
    """Covariance of responses if the structure is a random term beside a residual."""
    return row.covariance + RESIDUAL * np.eye(len(row.places))


def correlation_of(covariance: np.ndarray) -> np.ndarray:
    """Correlations of a covariance matrix."""
    sd = np.sqrt(np.diag(covariance))
    return covariance / np.outer(sd, sd)


def draw_matrix(axes: Any, matrix: np.ndarray, labels: Sequence[str], title: str) -> None:
    """One matrix as coloured cells with its numbers."""
    k = len(matrix)
    axes.pcolormesh(np.arange(k + 1), np.arange(k + 1), matrix, cmap="RdBu", vmin=-2.2, vmax=2.2)
    for i in range(k):
        for j in range(k):
            value = matrix[i, j]
            colour = "white" if abs(value) > 1.3 else "black"
            text = "0" if value == 0.0 else f"{value:.2f}"
            axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=7, color=colour)
    ticks = np.arange(k) + 0.5
    axes.set_xticks(ticks, labels, fontsize=7)
    axes.set_yticks(ticks, labels, fontsize=7)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.set_title(title, fontsize=8)


def draw_decay(axes: Any, row: Row) -> None:
    """Correlation of pairs against their distance, on the sides that the structure has."""
    upper = np.triu_indices(len(row.places))
    lags = row.distances[upper]
    sides = (row.on_residuals, row.on_effects)
    for shown, matrix, label in zip(sides, (row.covariance, responses(row)), MARKS, strict=True):
        if shown:
            style = {"linestyle": "", "markersize": 4, "markerfacecolor": "none", **MARKS[label]}
            axes.plot(lags, correlation_of(matrix)[upper], label=label, **style)
    axes.axhline(0.0, color="grey", linewidth=0.5)
    axes.set_ylim(-0.4, 1.08)
    axes.set_xlabel("distance", fontsize=7)
    axes.set_title("correlation of two responses", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=6, loc="upper right")


def draw_row(row: Row, grid: Any) -> None:
    """The matrix, the responses' matrix, and correlation by distance."""
    is_site = row.points.shape[1] > 1
    labels = list("abcde") if is_site else [f"{place:g}" for place in row.places]
    draw_matrix(grid[0], row.covariance, labels, row.word)
    if row.on_effects:
        draw_matrix(grid[1], responses(row), labels, f"{row.word} term + residual variance 0.4")
    else:
        grid[1].set_axis_off()
        grid[1].text(0.5, 0.5, "for residuals only", ha="center", fontsize=8)
    draw_decay(grid[2], row)


def draw_family(rows: Sequence[Row], path: Path) -> None:
    """Write the picture of one family."""
    from matplotlib import pyplot as plt

    size = (7.6, 2.55 * len(rows))
    figure, grid = plt.subplots(len(rows), 3, figsize=size, squeeze=False, layout="constrained")
    for row, axes in zip(rows, grid, strict=True):
        draw_row(row, axes)
    save(figure, path)


def draw_variance(path: Path) -> None:
    """Write the picture of the variance functions."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(7.6, 2.55), layout="constrained")
    x = np.linspace(0.05, 4.0, 200)
    for delta in (-0.5, 0.5, 1.0):
        axes[0].plot(x, x**delta, label=f"power, {delta:g}")
    for delta in (-0.3, 0.3):
        axes[0].plot(x, np.exp(delta * x), "--", label=f"exp, {delta:g}")
    axes[0].set_ylim(0.0, 4.2)
    axes[0].set_xlabel("x", fontsize=7)
    axes[0].legend(fontsize=6, loc="upper center")
    axes[1].bar(["a", "b", "c"], [1.0, 0.6, 1.7], color="C0", width=0.5)
    for plot, title in ((axes[0], "sd over sigma"), (axes[1], "sd over sigma: ident")):
        plot.set_title(title, fontsize=8)
        plot.tick_params(labelsize=7)
    ages = np.arange(1.0, 6.0)
    grown = Row("ar1", (0.7,), 0.6 * ages**0.5, ages)
    labels = [f"{age:g}" for age in ages]
    draw_matrix(axes[2], grown.covariance, labels, "ar1 with power(x), 0.5, sigma 0.6")
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Write a figure with few colours, which keeps it small."""
    from matplotlib import pyplot as plt
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, metadata={"Software": None})
    plt.close(figure)
    Image.open(drawn).convert("RGB").quantize(160, Image.Quantize.MAXCOVERAGE).save(
        path, optimize=True
    )


def main(folder: Path) -> None:
    """Write all pictures."""
    import matplotlib as mpl

    mpl.use("Agg")
    for name, rows in FIGURES.items():
        draw_family(rows, folder / f"{name}.png")
    draw_variance(folder / "variance.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
