"""Where pictures are drawn, and what that leaves as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest

mpl = pytest.importorskip("matplotlib")

import lmmformula as lf  # noqa: E402 - needs matplotlib
from lmmformula.errors import OptionError  # noqa: E402
from tests.plots.gallery import CASES, slopes, subject_of  # noqa: E402

mpl.use("Agg")


@pytest.fixture
def plt():
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.mark.parametrize("case", CASES)
def test_settings_of_the_user_stay(case):
    kind, _, options = CASES[case]
    with mpl.rc_context({"axes.spines.top": True, "font.size": 13.0, "lines.linewidth": 4.0}):
        before = mpl.rcParams.copy()
        lf.plot.draw(kind, subject_of(case), **options)
        assert dict(mpl.rcParams) == dict(before)


def test_settings_stay_after_an_error():
    before = mpl.rcParams.copy()
    with pytest.raises(OptionError):
        slopes().plot("residuals", ax=3)
    assert dict(mpl.rcParams) == dict(before)


def test_no_figure_is_left_with_pyplot(plt):
    slopes().plot("caterpillar")
    assert plt.get_fignums() == []


def test_axes_of_the_caller(plt):
    figure, axes = plt.subplots()
    assert slopes().plot("residuals", ax=axes) is figure
    assert axes.get_xlabel() == "Fitted Reaction"
    assert not axes.spines["top"].get_visible()


def test_one_of_the_callers_axes_for_every_panel(plt):
    figure, axes = plt.subplots(2, 2)
    assert slopes().plot(ax=axes) is figure
    assert [one.get_title(loc="left") for one in axes.flat] == ["(a)", "(b)", "(c)", "(d)"]


def test_part_of_a_figure(plt):
    figure = plt.figure(layout="constrained")
    upper, lower = figure.subfigures(2, 1)
    assert slopes().plot("panels", figure=upper) is figure
    assert slopes().plot("caterpillar", figure=lower) is figure
    assert [len(part.axes) for part in (upper, lower)] == [18, 2]


@pytest.mark.parametrize(
    ("kind", "options", "fact"),
    [
        ("residuals", {"ax": 3}, "int"),
        ("caterpillar", {"ax": []}, "0 axes"),
        ("residuals", {"figure": "here"}, "str"),
    ],
)
def test_wrong_places(kind, options, fact):
    with pytest.raises(OptionError) as caught:
        slopes().plot(kind, **options)
    assert fact in caught.value.got


def test_two_places_at_once(plt):
    figure, axes = plt.subplots()
    with pytest.raises(OptionError, match="say twice"):
        slopes().plot("residuals", ax=axes, figure=figure)


def test_pictures_show_themselves_in_notebooks():
    assert slopes().plot("qq")._repr_png_().startswith(b"\x89PNG")


def test_colours_can_be_told_apart():
    assert len(set(lf.plot.OKABE_ITO.values())) == 8


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for kind in ("overview", "caterpillar", "variance"):
        with pytest.raises(OptionError) as caught:
            slopes().plot(kind)
        assert 'pip install "lmmformula[plot]"' in caught.value.suggestion
        assert len(lf.plot.data(kind, slopes())) > 0  # numbers do not need it


def test_neither_plots_nor_their_data_load_matplotlib_early():
    code = (
        "import sys, lmmformula as lf\n"
        "fit = lf.lmer('Yield ~ 1 + (1 | Batch)', lf.load_dataset('dyestuff'))\n"
        "lf.plot.data('caterpillar', fit)\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
