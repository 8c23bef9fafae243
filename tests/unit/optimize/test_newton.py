"""The Newton method on small criteria: what it reports in each situation."""

from __future__ import annotations

import numpy as np
import pytest

from lmmformula.errors import NumericalError
from lmmformula.optimize import Newton, OptimumStatus
from tests.unit.optimize.objectives import (
    Toy,
    barrier,
    bowl,
    double_well,
    gutter,
    quadratic,
    rosenbrock,
    slide,
)


def run(function, start, settings=None, **options):
    toy = Toy(function, **options)
    solution = (settings or Newton()).minimize(toy, np.asarray(start, dtype=float))
    assert len(solution.trace) == toy.n_evaluations == len(toy.points)
    assert [step.evaluation for step in solution.trace] == list(range(1, toy.n_evaluations + 1))
    return solution, toy


class TestMinimum:
    """A proven minimum, in few evaluations."""

    def test_a_quadratic_takes_one_step(self):
        solution, toy = run(bowl, [0.0, 0.5])
        assert solution.status is OptimumStatus.CONVERGED
        assert toy.n_evaluations == 2
        np.testing.assert_allclose(solution.point.phi, 1.0)
        assert solution.gradient_norm < 1e-12
        assert solution.min_eigenvalue == pytest.approx(1.0)

    def test_rosenbrock(self):
        solution, toy = run(rosenbrock, [-1.2, 1.0])
        assert solution.status is OptimumStatus.CONVERGED
        np.testing.assert_allclose(solution.point.phi, 1.0, atol=1e-6)
        assert toy.n_evaluations <= 60

    def test_the_start_may_be_the_minimum(self):
        solution, toy = run(bowl, [1.0, 1.0])
        assert solution.status is OptimumStatus.CONVERGED
        assert toy.n_evaluations == 1
        assert [step.kind for step in solution.trace] == ["start"]

    def test_steps_are_no_longer_than_the_radius(self):
        solution, _ = run(lambda phi: quadratic(phi - 100.0, 1.0), [0.0], Newton(max_step=3.0))
        lengths = [step.step for step in solution.trace]
        assert lengths[1] == pytest.approx(3.0, rel=1e-2)
        assert solution.status is OptimumStatus.CONVERGED

    def test_the_start_is_left_alone(self):
        start = np.array([0.0, 0.5])
        Newton().minimize(Toy(bowl), start)
        np.testing.assert_array_equal(start, [0.0, 0.5])


class TestSaddle:
    """A vanishing gradient is not enough."""

    @pytest.mark.parametrize("start", [(0.0, 0.0), (1.5, 0.0)])
    def test_is_left(self, start):
        solution, _ = run(double_well, start)
        assert solution.status is OptimumStatus.CONVERGED
        np.testing.assert_allclose(np.abs(solution.point.phi), [0.0, 1.0], atol=1e-6)
        assert any(step.kind == "escape" for step in solution.trace)

    def test_a_maximum_is_left(self):
        solution, _ = run(
            lambda phi: (float(np.cos(phi[0])), -np.sin(phi), [[-np.cos(phi[0])]]), [0.0]
        )
        assert solution.status is OptimumStatus.CONVERGED
        assert solution.point.value == pytest.approx(-1.0)

    def test_that_cannot_be_left_is_reported(self):
        solution, _ = run(
            lambda phi: (float(phi @ phi), 2.0 * phi, np.diag([2.0, -2.0])), [0.0, 0.0]
        )
        assert solution.status is OptimumStatus.SADDLE
        assert solution.min_eigenvalue == pytest.approx(-2.0)

    def test_zeros_are_not_snapped_again_after_it(self):
        """A tiny but wanted value must survive once a saddle at zero was left."""

        def tiny(phi):
            x = phi[0] / 5e-4
            return (
                1e-3 * (x**2 - 1.0) ** 2,
                4e-3 * x * (x**2 - 1.0) / 5e-4 * np.ones(1),
                [[(12.0 * x**2 - 4.0) * 4e3]],
            )

        solution, _ = run(tiny, [0.0])
        assert abs(solution.point.phi[0]) == pytest.approx(5e-4, rel=1e-3)


class TestFlat:
    """Directions without curvature."""

    @pytest.mark.parametrize("start", [(1.0, 0.3), (5.0, -2.0)])
    def test_is_not_identified(self, start):
        solution, _ = run(gutter, start)
        assert solution.status is OptimumStatus.NOT_IDENTIFIED
        assert solution.point.phi[0] == pytest.approx(1.0)
        assert solution.min_eigenvalue == pytest.approx(0.0, abs=1e-12)

    def test_declared_directions_are_not_judged_and_not_moved_along(self):
        solution, _ = run(gutter, [5.0, -2.0], effective=np.array([[1.0], [0.0]]))
        assert solution.status is OptimumStatus.CONVERGED
        assert solution.point.phi[1] == -2.0
        assert solution.min_eigenvalue == pytest.approx(1.0)

    def test_a_constant_criterion(self):
        solution, _ = run(lambda phi: quadratic(phi, 0.0, 0.0), [1.0, 2.0])
        assert solution.status is OptimumStatus.NOT_IDENTIFIED


class TestLimits:
    """Where there is no minimum, or no budget."""

    def test_unbounded(self):
        solution, toy = run(slide, [1.0])
        assert solution.status is OptimumStatus.UNBOUNDED
        assert toy.n_evaluations < 100

    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_max_evaluations(self, limit):
        solution, toy = run(rosenbrock, [-1.2, 1.0], Newton(max_evaluations=limit))
        assert solution.status is OptimumStatus.MAX_EVALUATIONS
        assert toy.n_evaluations == limit

    @staticmethod
    def misleading(phi):
        """Say that the criterion falls from the start, where it only rises."""
        return float(phi[0] != 1.0), np.ones(1), np.eye(1)

    def test_stalled(self):
        solution, toy = run(self.misleading, [1.0])
        assert solution.status is OptimumStatus.STALLED
        assert toy.n_evaluations < 50
        assert solution.gradient_norm == 1.0

    def test_a_limit_reached_among_rejected_steps_is_named_as_such(self):
        limits = range(1, 15)
        found = [run(rosenbrock, [-1.2, 1.0], Newton(max_evaluations=n)) for n in limits]
        assert {solution.status for solution, _ in found} == {OptimumStatus.MAX_EVALUATIONS}
        assert [toy.n_evaluations for _, toy in found] == list(limits)

    @pytest.mark.parametrize("value", [np.inf, np.nan])
    def test_a_start_without_a_value(self, value):
        with pytest.raises(NumericalError, match="starting values"):
            run(lambda phi: (value, phi, np.eye(1)), [1.0])

    def test_derivatives_without_a_value(self):
        with pytest.raises(NumericalError, match="derivatives"):
            run(lambda phi: (1.0, np.full(1, np.nan), np.eye(1)), [1.0])


class TestRejection:
    """Steps that do not lower the criterion."""

    def test_values_where_the_criterion_is_undefined_are_stepped_back_from(self):
        solution, _ = run(barrier, [3.0])
        assert solution.status is OptimumStatus.CONVERGED
        assert solution.point.phi[0] == pytest.approx(1.0)
        rejected = [step for step in solution.trace if step.kind.endswith(", rejected")]
        assert rejected
        assert all(np.isnan(step.gradient_norm) for step in rejected)

    def test_accepted_values_never_rise(self):
        solution, _ = run(rosenbrock, [-1.2, 1.0])
        values = [s.objective for s in solution.trace if "rejected" not in s.kind]
        assert (np.diff(values) <= 1e-11).all()
        assert len(values) < len(solution.trace)

    def test_rounding_is_not_progress(self):
        """Noise far above the tolerance, of a size the objective declares."""

        def noisy(phi):
            value, gradient, second = bowl(phi)
            return value + 1e-9 * np.sin(1e8 * phi.sum()), gradient + 1e-6, second

        assert run(noisy, [0.0, 0.5], rounding=1e-8)[0].status is OptimumStatus.CONVERGED


class TestHessians:
    """Which second derivatives are asked for when."""

    @staticmethod
    def average(phi):
        return np.diag([2.0, 20.0])

    def test_average_information_far_away_exact_near_the_end(self):
        solution, _ = run(bowl, [40.0, -30.0], average=self.average)
        assert solution.status is OptimumStatus.CONVERGED
        kinds = [step.kind for step in solution.trace]
        assert kinds[:2] == ["start", "average"]
        assert kinds[-1] == "exact"

    def test_a_dear_hessian_is_computed_for_the_proof_only(self):
        solution, toy = run(bowl, [40.0, -30.0], average=self.average, hessian_is_cheap=False)
        assert solution.status is OptimumStatus.CONVERGED
        assert solution.min_eigenvalue == pytest.approx(1.0)
        assert sum(asked.count(True) for asked in (p.asked for p in toy.points)) <= 2

    def test_the_proof_uses_the_exact_hessian(self):
        """The average information is positive at the saddle; the exact Hessian is not."""
        solution, _ = run(double_well, [1.5, 0.0], average=lambda phi: np.eye(2))
        np.testing.assert_allclose(np.abs(solution.point.phi), [0.0, 1.0], atol=1e-6)


def test_callback_sees_every_step():
    seen = []
    solution = Newton().minimize(Toy(rosenbrock), np.array([-1.2, 1.0]), seen.append)
    assert tuple(seen) == solution.trace


def test_a_callback_may_stop_the_run():
    def stop(step):
        if step.evaluation == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Newton().minimize(Toy(rosenbrock), np.array([-1.2, 1.0]), stop)
