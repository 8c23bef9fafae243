"""Every plot looks as it did when somebody last looked at it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import itertools

from lmmformula.plot import PLOTS
from tests.plots.gallery import (
    BASELINE,
    CASES,
    KINDS,
    VERSIONS,
    make,
    pixels,
    read,
    subject_of,
    versions,
)

RMS = 0.5
"""Of levels 0 to 255 over all pixels. One mark that moves by a thirtieth of its axes is 1 or more;
the same picture drawn again is 0."""

RECORDED = json.loads(VERSIONS.read_text(encoding="utf-8"))
same_versions = pytest.mark.skipif(
    versions() != RECORDED,
    reason=f"images were stored with {RECORDED}, here is {versions()}; "
    "run `python -m tests.plots.regenerate` and look at the pictures",
)


DRAWN: dict[str, Any] = {}


def drawn(case):
    """Return a figure and its pixels; a figure that nobody has changed is drawn once."""
    if case not in DRAWN:
        figure = make(case)
        image = pixels(figure)
        figure.draw_without_rendering()  # back from the resolution of the image
        DRAWN[case] = figure, image
    return DRAWN[case]


def distance(one, other):
    """Root mean square difference; infinite between pictures of different sizes."""
    return float(np.sqrt(np.mean((one - other) ** 2))) if one.shape == other.shape else np.inf


def move_one_mark(figure):
    """Move one mark: by a thirtieth of its axes, where there is anything to move."""
    for axes in figure.axes:
        for line in axes.lines:
            x, y = (np.array(values, dtype=float) for values in line.get_data(orig=False))
            is_marked = line.get_marker() not in ("None", "", None) and len(x)
            if is_marked and axes.get_yscale() == "linear":
                low, high = axes.get_ylim()
                y[len(y) // 2] += (high - low) / 30.0
                line.set_data(x, y)
                return
            if is_marked:
                y[len(y) // 2] *= 2.0
                line.set_data(x, y)
                return
    for axes in figure.axes:
        if axes.patches:
            tallest = max(axes.patches, key=lambda patch: patch.get_height())
            tallest.set_height(tallest.get_height() * 0.95)
            return
        for image in axes.images:
            values = np.array(image.get_array())
            values[0, -1] += 0.05
            image.set_data(values)
            return
        for line in axes.lines:
            x, y = (np.array(values, dtype=float) for values in line.get_data(orig=False))
            line.set_data(x, 1.01 * y)
            return
    raise AssertionError("nothing to move")


def test_every_plot_has_a_case():
    assert {kind for kind, _, _ in CASES.values()} == set(KINDS)
    assert {path.stem for path in BASELINE.glob("*.png")} == set(CASES)


def test_every_plot_is_on_the_page():
    page = (BASELINE.parents[2] / "docs" / "gallery.md").read_text(encoding="utf-8")
    for case in CASES:
        assert f"(gallery/{case}.png)" in page
    for kind in KINDS:
        forms = (f'fit.plot("{kind}"', f"lf.plot.{kind}(", f"lot `{kind}`")
        assert any(form in page for form in forms), kind


@same_versions
@pytest.mark.parametrize("case", CASES)
def test_picture_is_as_stored(case):
    assert distance(drawn(case)[1], read(BASELINE / f"{case}.png")) < RMS


@pytest.mark.parametrize("case", CASES)
def test_text_stays_inside_and_ticks_do_not_overlap(case):
    figure, _ = drawn(case)
    whole = figure.bbox.padded(1.0)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            boxes = [
                label.get_window_extent()
                for label in axis.get_ticklabels()
                if label.get_visible() and label.get_text() and axis.get_visible()
            ]
            shown = [box for box in boxes if box.width > 0.0 and _is_drawn(axes, axis, box)]
            for one, other in itertools.pairwise(shown):
                assert not one.padded(-0.5).overlaps(other.padded(-0.5)), case
        for text in (axes.xaxis.label, axes.yaxis.label, axes.title, *figure.texts):
            if text.get_text():
                box = text.get_window_extent()
                assert whole.contains(box.x0, box.y0), (case, text.get_text())
                assert whole.contains(box.x1, box.y1), (case, text.get_text())


def _is_drawn(axes, axis, box):
    """Ticks beyond the limits have labels that are not drawn."""
    x, y = 0.5 * (box.x0 + box.x1), 0.5 * (box.y0 + box.y1)
    area = axes.bbox.padded(2.0)
    is_x = axis is axes.xaxis
    return area.x0 <= x <= area.x1 if is_x else area.y0 <= y <= area.y1


@pytest.mark.parametrize("case", CASES)
def test_widths_are_those_of_a_journal(case):
    width, height = drawn(case)[0].get_size_inches() * 25.4
    assert width <= 171.0
    assert height <= 230.0
    assert width > 80.0


@pytest.mark.parametrize("case", CASES)
def test_data_behind_every_plot(case):
    kind, _, options = CASES[case]
    known = {name: value for name, value in options.items() if name != "label"}
    frame = PLOTS[kind].data(subject_of(case), **known)
    assert len(frame) > 0


@same_versions
@pytest.mark.parametrize("case", CASES)
def test_one_moved_mark_is_seen(case):
    """Last: it spoils the figure, whose limits and layout are settled."""
    figure, _ = drawn(case)
    del DRAWN[case]
    for axes in figure.axes:
        axes.set_autoscale_on(False)
    move_one_mark(figure)
    assert distance(pixels(figure), read(BASELINE / f"{case}.png")) > RMS
