"""The ``relationship`` option: forms it may take, and what can be wrong with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import lmmformula as lf
from lmmformula.errors import DataError, DataWarning, OptionError

LEVELS = ["a", "b", "c", "d"]
K = np.array(
    [
        [1.0, 0.5, 0.25, 0.0],
        [0.5, 1.0, 0.5, 0.0],
        [0.25, 0.5, 1.25, 0.1],
        [0.0, 0.0, 0.1, 1.0],
    ]
)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    n = 40
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "animal": rng.permutation(LEVELS * 10),
            "herd": rng.choice(["h1", "h2", "h3"], n),
        }
    )


def matrix_of(model):
    """The relationship that the engine is given, in the order of the levels."""
    block = next(b for b in model.design.matrices.random if b.relationship is not None)
    return list(block.levels), block.relationship @ block.relationship.T


ORDER = [2, 0, 3, 1]
SHUFFLED = [LEVELS[i] for i in ORDER]
TURNED = K[np.ix_(ORDER, ORDER)]


@pytest.mark.parametrize(
    "given",
    [
        pd.DataFrame(K, index=LEVELS, columns=LEVELS),
        pd.DataFrame(TURNED, index=SHUFFLED, columns=SHUFFLED),
        pd.DataFrame(TURNED, index=SHUFFLED, columns=SHUFFLED)[LEVELS],
        (TURNED, SHUFFLED),
        (sparse.csc_array(TURNED), SHUFFLED),
        (sparse.coo_matrix(TURNED), np.array(SHUFFLED)),
        (pd.DataFrame(TURNED), pd.Series(SHUFFLED)),
        K,
        K.tolist(),
        sparse.csr_array(K),
    ],
)
def test_forms_of_one_relationship(data, given):
    model = lf.lmm("y ~ x + (1 | animal)", data, relationship={"animal": given})
    levels, found = matrix_of(model)
    assert levels == LEVELS
    np.testing.assert_allclose(found, K, atol=1e-14)


def test_labels_are_written_as_levels_are(data):
    numbers = data.assign(animal=data["animal"].map({"a": 1.0, "b": 2.0, "c": 10.0, "d": 20.0}))
    given = pd.DataFrame(K, index=[1, 2, 10, 20], columns=[1.0, 2.0, 10.0, 20.0])
    levels, found = matrix_of(lf.lmm("y ~ (1 | animal)", numbers, relationship={"animal": given}))
    assert levels == ["1", "2", "10", "20"]
    np.testing.assert_allclose(found, K, atol=1e-14)


def test_the_matrix_given_is_left_alone(data):
    given = TURNED.copy()
    model = lf.lmm("y ~ (1 | animal)", data, relationship={"animal": (given, SHUFFLED)})
    before = matrix_of(model)[1].copy()
    np.testing.assert_array_equal(given, TURNED)
    given[:] = 0.0
    np.testing.assert_array_equal(matrix_of(model)[1], before)


def test_interactions_and_several_terms(data):
    data["pen"] = data["herd"] + ":" + data["animal"]
    cells = sorted(set(data["pen"]))
    between = 0.3 * np.eye(len(cells)) + 0.7
    given = pd.DataFrame(between, index=cells, columns=cells)
    model = lf.lmm(
        "y ~ x + (1 | herd:animal) + (0 + x | herd:animal) + (1 | herd)",
        data,
        relationship={"herd:animal": given},
    )
    blocks = model.design.matrices.random
    assert [b.relationship is not None for b in blocks] == [b.group != "herd" for b in blocks]
    np.testing.assert_allclose(matrix_of(model)[1], between, atol=1e-14)


def test_one_record_for_each_level_is_enough_for_related_ones():
    data = {"y": [1.0, 2.0, 4.0, 3.0], "animal": LEVELS}
    lf.lmm("y ~ 1 + (1 | animal)", data, relationship={"animal": K})


def test_clones_are_taken(data):
    twins = K.copy()
    twins[1], twins[:, 1] = twins[0], twins[:, 0]
    twins[1, 1] = twins[0, 0]
    model = lf.lmm("y ~ (1 | animal)", data, relationship={"animal": twins})
    _levels, found = matrix_of(model)
    np.testing.assert_allclose(found, twins, atol=1e-14)
    fit = model.at([0.7])
    modes = fit.random_effects["animal"]["Intercept"]
    assert modes["a"] == pytest.approx(modes["b"], rel=1e-12)


def refused(data, given, formula="y ~ x + (1 | animal)", kind=DataError):
    with pytest.raises(kind) as caught:
        lf.lmm(formula, data, relationship=given)
    error = caught.value
    assert error.option == "relationship"
    assert error.got
    assert error.suggestion
    return error


def test_not_a_mapping(data):
    assert "animal" in refused(data, K, kind=OptionError).suggestion


@pytest.mark.parametrize("name", ["Animal", "anmal", 3])
def test_a_key_that_is_no_factor(data, name):
    error = refused(data, {name: K}, kind=OptionError)
    assert error.available == ("animal",)
    assert '"animal"' in error.suggestion


def with_value(i, j, value, both=True):
    changed = K.copy()
    changed[i, j] = value
    if both:
        changed[j, i] = value
    return changed


def test_not_square(data):
    assert refused(data, {"animal": K[:3]}).shape == (3, 4)
    assert refused(data, {"animal": np.ones(4)}).shape == (4,)


@pytest.mark.parametrize("given", ["K", object(), [["a", "b"], ["c", "d"]], None])
def test_not_numbers(data, given):
    refused(data, {"animal": given})


def test_bare_matrix_of_another_size(data):
    assert refused(data, {"animal": np.eye(7)}).n_levels == 4


def test_labels_that_do_not_fit(data):
    refused(data, {"animal": (K, LEVELS[:3])})
    refused(data, {"animal": (K, 4)})
    twice = refused(data, {"animal": (K, ["a", "b", "b", "d"])})
    assert twice.labels == ("b",)
    other = refused(data, {"animal": pd.DataFrame(K, index=LEVELS, columns=["a", "b", "c", "e"])})
    assert other.labels == ("d", "e")


def test_levels_that_are_missing(data):
    error = refused(data, {"animal": (K, ["a", "B", "c", "D"])})
    assert error.missing == ("b", "d")


def test_missing_or_infinite_elements(data):
    for value in (np.nan, np.inf):
        error = refused(data, {"animal": with_value(1, 3, value)})
        assert "`b` and `d`" in error.got
        refused(data, {"animal": (sparse.csr_array(with_value(1, 3, value)), LEVELS)})


def test_not_symmetric(data):
    changed = with_value(2, 0, 0.4, both=False)
    assert set(refused(data, {"animal": changed}).pair) == {"a", "c"}
    assert set(refused(data, {"animal": (sparse.csr_array(changed), LEVELS)}).pair) == {"a", "c"}
    lf.lmm("y ~ (1 | animal)", data, relationship={"animal": with_value(2, 0, 0.25 + 1e-12, False)})


def test_not_positive_definite(data):
    error = refused(data, {"animal": with_value(0, 1, 1.2)})
    assert error.smallest_eigenvalue < -0.1
    assert f"{error.smallest_eigenvalue:.3g}" in error.got


def test_distances_are_no_relationship(data):
    distances = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    assert "distances" in refused(data, {"animal": distances}).suggestion
    refused(data, {"animal": np.zeros((4, 4))})


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_an_unusual_scale_is_said_and_does_no_harm(data, scale):
    with pytest.warns(DataWarning) as caught:
        model = lf.lmm("y ~ x + (1 | animal)", data, relationship={"animal": scale * K})
    assert caught[0].message.scale == pytest.approx(scale * np.mean(np.diag(K)))
    usual = lf.lmm("y ~ x + (1 | animal)", data, relationship={"animal": K}).at([0.6])
    ours = model.at([0.6 / np.sqrt(scale)])
    assert ours.objective == pytest.approx(usual.objective, rel=1e-10)


class TestMembersWithoutData:
    """K has more members than the data."""

    def replay(self, data, rows, relationship=None):
        model = lf.lmm(
            "y ~ x + (1 | animal)",
            data[data["animal"].isin(["a", "c"])],
            relationship={"animal": relationship or (TURNED, SHUFFLED)},
        )
        return model.design.spec.replay({"x": np.zeros(len(rows)), "animal": rows})

    def test_follow_the_fitted_levels(self, data):
        rows = self.replay(data, ["d", "a", "b", "d", "z"])
        block = rows.random[0]
        assert list(block.levels) == ["a", "c", "b", "d"] or list(block.levels) == [
            "a",
            "c",
            "d",
            "b",
        ]
        named = [block.levels[code] if code >= 0 else None for code in block.codes]
        assert named == ["d", "a", "b", "d", None]
        assert rows.unseen == {"animal": ["z"]}
        at = [LEVELS.index(level) for level in block.levels]
        found = block.relationship @ block.relationship.T
        np.testing.assert_allclose(found, K[np.ix_(at, at)], atol=1e-14)
        np.testing.assert_array_equal(block.relationship, np.tril(block.relationship))

    def test_only_those_that_rows_name(self, data):
        block = self.replay(data, ["d", "a"]).random[0]
        assert list(block.levels) == ["a", "c", "d"]
        assert block.relationship.shape == (3, 3)
        assert self.replay(data, ["c", "a"]).random[0].relationship.shape == (2, 2)

    def test_of_a_sparse_relationship(self, data):
        block = self.replay(data, ["b"], (sparse.csr_array(TURNED), SHUFFLED)).random[0]
        at = [LEVELS.index(level) for level in block.levels]
        found = block.relationship @ block.relationship.T
        np.testing.assert_allclose(found, K[np.ix_(at, at)], atol=1e-14)

    def test_that_are_no_covariance_with_the_others(self, data):
        wrong = with_value(1, 2, 1.3)
        with pytest.raises(DataError) as caught:
            self.replay(data, ["b"], (wrong, LEVELS))
        assert caught.value.smallest_eigenvalue < 0.0

    def test_a_copy_of_a_fitted_level(self, data):
        twins = K.copy()
        twins[1], twins[:, 1] = twins[0], twins[:, 0]
        twins[1, 1] = twins[0, 0]
        block = self.replay(data, ["b"], (twins, LEVELS)).random[0]
        np.testing.assert_allclose(block.relationship[-1], block.relationship[0], atol=1e-14)
