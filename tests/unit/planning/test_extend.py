"""Other sizes of a design: the same as the model of the data so extended."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import lmmformula as lf
from lmmformula.engine import assemble, estimate
from lmmformula.errors import OptionError
from lmmformula.planning.extend import resized


def same_model(model, matrices, frame):
    """Criterion of resized matrices and of a model of the data frame, at one theta."""
    theta = np.full(model.system.n_theta, 0.7)
    expected = lf.lmm(model.formula, frame)
    assert matrices.n_obs == len(frame)
    found = estimate(assemble([matrices]), theta, True)
    assert found.objective == pytest.approx(expected.at(theta).objective, rel=1e-12)
    assert found.beta == pytest.approx(expected.at(theta).params.to_numpy(), rel=1e-9)


def extended(data, along, count, nested=()):
    """Data with more or fewer levels of a column; what is nested in it gets new labels."""
    labels = [str(level) for level in data[along].cat.categories]
    plain = data.astype({name: str for name in (along, *nested)})
    pieces = []
    for i in range(count):
        piece = plain[plain[along] == labels[i % len(labels)]].copy()
        for name in (along, *nested):
            piece[name] = piece[name] + f"_{i // len(labels)}"
        pieces.append(piece)
    return pd.concat(pieces, ignore_index=True)


@pytest.mark.parametrize("count", [5, 18, 30, 36])
def test_one_factor(sleepstudy, count):
    model = lf.lmm("Reaction ~ Days + (Days | Subject)", sleepstudy.iloc[7:])
    matrices = resized(model.design, {"Subject": count}, None)
    same_model(model, matrices, extended(sleepstudy.iloc[7:], "Subject", count))
    assert matrices.random[0].n_levels == count
    assert len(set(matrices.random[0].levels)) == count


@pytest.mark.parametrize("count", [4, 15])
def test_what_is_nested_is_copied_along(count):
    data = lf.load_dataset("pastes")
    model = lf.lmm("strength ~ 1 + (1 | batch) + (1 | sample)", data)
    matrices = resized(model.design, {"batch": count}, None)
    same_model(model, matrices, extended(data, "batch", count, ["sample"]))
    sizes = {block.group: block.n_levels for block in matrices.random}
    assert sizes == {"batch": count, "sample": 3 * count}


def test_more_levels_within_the_same_outer_ones():
    data = lf.load_dataset("pastes")
    model = lf.lmm("strength ~ 1 + (1 | batch) + (1 | sample)", data)
    matrices = resized(model.design, {"sample": 60}, None)
    sizes = {block.group: block.n_levels for block in matrices.random}
    assert sizes == {"batch": 10, "sample": 60}
    same_model(model, matrices, extended(data, "sample", 60))


@pytest.mark.parametrize("count", [10, 40])
def test_what_crosses_stays(count):
    data = lf.load_dataset("penicillin")
    model = lf.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    matrices = resized(model.design, {"plate": count}, None)
    same_model(model, matrices, extended(data, "plate", count))
    both = resized(model.design, {"plate": count, "sample": 9}, None)
    sizes = {block.group: block.n_levels for block in both.random}
    assert sizes == {"plate": count, "sample": 9}
    assert both.n_obs == 9 * count


def test_interactions_as_grouping_factors():
    data = lf.load_dataset("machines")
    model = lf.lmm("score ~ Machine + (1 | Worker/Machine)", data)
    matrices = resized(model.design, {"Worker": 9}, None)
    same_model(model, matrices, extended(data, "Worker", 9))


def test_rows_within_levels(sleepstudy):
    model = lf.lmm("Reaction ~ Days + (Days | Subject)", sleepstudy.iloc[4:])
    for count in (3, 25):
        m = resized(model.design, None, {"Subject": count})
        assert np.bincount(m.random[0].codes).tolist() == [count] * 18
    one = resized(model.design, None, {"Subject": 3})
    assert one.X[:3, 1].tolist() == [4, 5, 6]
    assert one.X[3:6, 1].tolist() == [0, 1, 2]


@pytest.mark.parametrize("cell", ["Subject:Days", "Days:Subject", "Subject | Days"])
def test_rows_within_cells(sleepstudy, cell):
    model = lf.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy.iloc[4:])
    m = resized(model.design, None, {cell: 2})
    assert m.n_obs == 2 * 176
    frame = sleepstudy.iloc[np.repeat(np.arange(4, 180), 2)]
    same_model(model, m, frame)
    more = resized(model.design, {"Subject": 40}, {cell: 3})
    assert more.n_obs == 3 * (2 * 176 + 36)


def test_cells_of_factors():
    data = lf.load_dataset("cake")
    for formula in ("angle ~ recipe * temperature + (1 | replicate)",
                    "angle ~ 0 + recipe + temperature + (1 | replicate)"):  # fmt: skip
        model = lf.lmm(formula, data)
        m = resized(model.design, None, {"replicate:recipe": 12})
        key = m.random[0].codes * 3 + np.unique(m.X[:, :3], axis=0, return_inverse=True)[1]
        assert m.n_obs == 15 * 3 * 12
        assert len(key) == m.n_obs


def test_weights_and_offsets_follow(sleepstudy):
    data = sleepstudy.assign(w=1.0 + np.arange(180) % 3, o=np.arange(180) / 10)
    model = lf.lmm("Reaction ~ Days + (1 | Subject)", data, weights="w", offset="o")
    m = resized(model.design, {"Subject": 20}, None)
    assert m.weights[180:].tolist() == data["w"][:20].tolist()
    assert m.offset[180:].tolist() == data["o"][:20].tolist()


@pytest.mark.parametrize(
    ("levels", "within", "facts"),
    [
        ({"Subjects": 20}, None, {"closest": "Subject", "argument": "levels"}),
        ({"Subject": 0}, None, {"name": "Subject"}),
        ({"Subject": 20.5}, None, {"name": "Subject"}),
        ({"Subject": True}, None, {"name": "Subject"}),
        ({"Subject": 10**9}, None, {"name": "Subject"}),
        (20, None, {"argument": "levels"}),
        (None, {"Subject:Day": 3}, {"closest": "Days", "argument": "within"}),
        (None, {"Subject": 10**9}, {"argument": "within"}),
    ],
)
def test_bad_sizes(sleepstudy, levels, within, facts):
    model = lf.lmm("Reaction ~ Days + (Days | Subject)", sleepstudy)
    with pytest.raises(OptionError) as caught:
        resized(model.design, levels, within)
    for name, value in facts.items():
        assert getattr(caught.value, name) == value
    assert caught.value.suggestion


def test_structured_residuals_are_copied_along(sleepstudy):
    model = lf.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy, residual="ar1(Days | Subject)")
    m = resized(model.design, {"Subject": 40}, None)
    frame = extended(sleepstudy, "Subject", 40)
    expected = lf.lmm(model.formula, frame, residual="ar1(Days | Subject)")
    found = estimate(assemble([m]), np.array([0.7, 0.4]), True)
    assert found.objective == pytest.approx(expected.at([0.7, 0.4]).objective, rel=1e-12)
    with pytest.raises(OptionError) as caught:
        resized(model.design, None, {"Subject": 20})
    assert caught.value.argument == "within"
    crossed = sleepstudy.assign(item=sleepstudy.groupby("Subject", observed=True).cumcount() % 5)
    model = lf.lmm("Reaction ~ Days + (1 | Subject) + (1 | item)", crossed,
                   residual="ar1(Days | Subject)")  # fmt: skip
    with pytest.raises(OptionError) as caught:
        resized(model.design, {"item": 9}, None)
    assert caught.value.name == "item"


def test_known_relationships_can_shrink_but_not_grow():
    data = lf.load_dataset("dyestuff")
    K = pd.DataFrame(0.3 + 0.7 * np.eye(6), index=list("ABCDEF"), columns=list("ABCDEF"))
    model = lf.lmm("Yield ~ 1 + (1 | Batch)", data, relationship={"Batch": K})
    m = resized(model.design, {"Batch": 4}, None)
    kept = data[data["Batch"].isin(list("ABCD"))]
    smaller = lf.lmm("Yield ~ 1 + (1 | Batch)", kept, relationship={"Batch": K.iloc[:4, :4]})
    found = estimate(assemble([m]), np.array([0.7]), True)
    assert found.objective == pytest.approx(smaller.at([0.7]).objective, rel=1e-12)
    with pytest.raises(OptionError) as caught:
        resized(model.design, {"Batch": 12}, None)
    assert caught.value.name == "Batch"
