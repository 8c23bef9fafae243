"""Plots by name, and what is said to what cannot be drawn."""

from __future__ import annotations

import inspect

import pytest

import lmmformula as lf
from lmmformula.errors import LMMError, OptionError
from lmmformula.plot import PLOTS
from tests.plots.gallery import cake, penicillin, slopes


@pytest.mark.parametrize("kind", PLOTS)
def test_every_plot_is_public_documented_and_takes_places(kind):
    function = getattr(lf.plot, kind)
    assert function is PLOTS[kind].draw
    assert kind in lf.plot.__all__
    assert inspect.getdoc(function)
    parameters = inspect.signature(function).parameters
    for name in ("ax", "figure"):
        assert parameters[name].default is None
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("kind", PLOTS)
def test_data_take_options_of_the_plot_only(kind):
    plot = PLOTS[kind]
    drawn = set(inspect.signature(plot.draw).parameters)
    assert set(inspect.signature(plot.data).parameters) <= drawn


@pytest.mark.parametrize("kind", PLOTS)
def test_every_plot_refuses_what_it_cannot_draw(kind):
    with pytest.raises(OptionError) as caught:
        lf.plot.data(kind, object())
    assert caught.value.subject == "object"
    assert "lf.plot." in caught.value.suggestion


def test_results_draw_by_name():
    pytest.importorskip("matplotlib")
    assert len(slopes().plot("qq").axes) == 1
    assert len(slopes().plot().axes) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: slopes().influence("Subject", exact=False),
        lambda: slopes().bootstrap(10, seed=1),
        lambda: cake().marginal_means("recipe"),
        lambda: cake().marginal_means("recipe").contrasts(),
        lambda: slopes().model.fit(reml=False).profile("Days"),
    ],
)
def test_other_objects_draw_themselves(make):
    pytest.importorskip("matplotlib")
    assert make().plot().axes


@pytest.mark.parametrize(
    ("call", "attribute", "value"),
    [
        (lambda: slopes().plot("caterpilar"), "closest", "caterpillar"),
        (lambda: slopes().plot(3), "argument", "kind"),
        (lambda: slopes().plot("caterpillar", colour="red"), "argument", "colour"),
        (lambda: slopes().plot("caterpillar", srt=None), "closest", "sort"),
        (lambda: slopes().plot("caterpillar", "Subjekt"), "closest", "Subject"),
        (lambda: slopes().plot("caterpillar", effects="Day"), "closest", "Days"),
        (lambda: slopes().plot("panels", order="Day"), "argument", "order"),
        (lambda: slopes().plot("panels", order=["308", "none"]), "argument", "order"),
        (lambda: slopes().plot("panels", x="hours"), "argument", "x"),
        (lambda: slopes().plot("panels", group="Sub"), "closest", "Subject"),
        (lambda: penicillin().plot("panels"), "argument", "x"),
        (lambda: penicillin().plot("ellipse"), "argument", "term"),
        (lambda: penicillin().plot("correlation"), "plot", "correlation"),
        (lambda: slopes().plot("correlation", scale="covarience"), "closest", "covariance"),
        (lambda: slopes().plot("correlation", "residual"), "argument", "term"),
        (lambda: slopes().plot("qq", envelope="point"), "closest", "pointwise"),
        (lambda: slopes().plot("qq", envelope="simulation"), "argument", "seed"),
        (lambda: slopes().plot("qq", "strange"), "available", None),
        (lambda: slopes().plot("marginal_means"), "argument", "variables"),
        (lambda: cake().plot("marginal_means", comparisons="letter"), "closest", "letters"),
        (lambda: cake().plot("interaction", "recipe", "recipe"), "argument", "trace"),
        (lambda: slopes().plot("interaction"), "argument", "trace"),
        (lambda: slopes().plot("coefficients", terms="Day"), "closest", "Days"),
        (lambda: slopes().plot("trace"), "status", "fixed"),
        (lambda: slopes().plot("residuals", "a", "b", "c"), "available", None),
        (lambda: cake().marginal_means("recipe").plot(by="temperature"), "argument", "variables"),
    ],
)
def test_errors_name_the_way_out(call, attribute, value):
    with pytest.raises(OptionError) as caught:
        call()
    assert caught.value.suggestion
    found = getattr(caught.value, attribute)
    assert found == value or value is None


def test_rows_that_are_gone():
    with pytest.raises(LMMError, match="rows"):
        slopes().without_data().plot("residuals")
    assert len(lf.plot.data("caterpillar", slopes().without_data())) == 36


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        ("panels", "columns"),
        ("panels", "n_groups"),
        ("residuals", "label"),
        ("random_qq", "label"),
        ("shrinkage", "label"),
        ("influence", "n"),
    ],
)
@pytest.mark.parametrize("value", [-1, 1.5, "many", True])
def test_counts_are_whole_numbers(kind, argument, value):
    with pytest.raises(OptionError, match=f"`{argument}` must be a whole number") as caught:
        slopes().plot(kind, **{argument: value})
    assert caught.value.argument == argument
