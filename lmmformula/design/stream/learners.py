"""What functions of a formula learn from a column, learned from one chunk after the other.

Each learner ends with the state that the function itself would have left after seeing all rows, so
that evaluating it later is the function's own business.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np

from lmmformula._arrays import FloatArray
from lmmformula.design.calls import LearningCall
from lmmformula.design.context import FUNCTIONS
from lmmformula.design.stream.quadrature import Quadrature
from lmmformula.design.stream.room import Room
from lmmformula.formula.transforms.arrays import as_numbers, present
from lmmformula.formula.transforms.learned import setting
from lmmformula.formula.transforms.splines import learn_knots

__all__ = ["Learner", "learner_of"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Learner(ABC):
    """Learns one call's state.

    Parameters
    ----------
    call : LearningCall
        The call.
    """

    in_memory = False
    factor = 0
    """Memory that learning takes at most beside the column, in sizes of the column."""

    def __init__(self, call: LearningCall) -> None:
        self.call = call
        self.last: Arguments | None = None

    def add(self, arguments: Arguments) -> None:
        """Take the arguments that the call has in one chunk."""
        self.last = arguments
        self._add(*arguments)

    @abstractmethod
    def _add(self, args: tuple[Any, ...], options: dict[str, Any]) -> None: ...

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what was learned."""

    def absorb(self, other: Self) -> None:
        """Add what was learned of the rows that follow."""
        self.last = self.last or other.last
        self._absorb(other)

    @abstractmethod
    def _absorb(self, other: Self) -> None: ...

    def slim(self) -> None:
        """Take away the column, which is as long as a chunk and only stood for its kind."""
        if self.last is not None:
            (_, *args), options = self.last
            self.last = (None, *args), options

    def numbers(self, column: Any) -> FloatArray:
        """Return the values of a chunk that are there; infinite ones are refused."""
        x = as_numbers(column, self.call.function)
        if np.isinf(x).any():
            present(x, self.call.function)
        gone = np.isnan(x)
        return x[~gone] if gone.any() else x

    def replayed(self, column: FloatArray) -> dict[str, Any]:
        """Return what the function itself learns from a few values that stand for all."""
        assert self.last is not None
        (_, *args), options = self.last
        state: dict[str, Any] = {}
        FUNCTIONS[self.call.function](column, *args, _state=state, **options)
        return state


class Nothing(Learner):
    """A call whose arguments say everything."""

    def _add(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Nothing to learn."""

    def state(self) -> dict[str, Any]:
        """Return what the arguments alone determine."""
        return self.replayed(np.array([0.0, 1.0]))

    def _absorb(self, other: Self) -> None:
        """Nothing was learned."""


class Moments(Learner):
    """Count, mean and sum of squares about it (Chan, Golub and LeVeque's updates)."""

    def __init__(self, call: LearningCall) -> None:
        super().__init__(call)
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def _add(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        x = self.numbers(args[0])
        if not x.size:
            return
        mean = float(np.mean(x))
        rest = x - mean
        count, step = self.count + x.size, mean - self.mean
        self.squares += float(rest @ rest) + step**2 * self.count * x.size / count
        self.mean += step * x.size / count
        self.count = count

    def _absorb(self, other: Self) -> None:
        count = self.count + other.count
        if count:
            step = other.mean - self.mean
            self.squares += other.squares + step**2 * self.count * other.count / count
            self.mean += step * other.count / count
            self.count = count

    def known(self) -> None:
        """Refuse a column without values, as the function does."""
        if not self.count:
            present(np.full(1, np.nan), self.call.function)


class Summary(Moments):
    """``mean``, ``sd``, ``var``."""

    def state(self) -> dict[str, Any]:
        """Return the number."""
        self.known()
        if self.call.function == "mean":
            return {"value": self.mean}
        variance = self.squares / (self.count - 1) if self.count > 1 else float("nan")
        return {"value": variance if self.call.function == "var" else variance**0.5}


def _scale(x: Any, center: Any = True, scale: Any = True, ddof: int = 1) -> tuple[Any, Any, int]:
    return center, scale, ddof


def _standardize(
    x: Any, center: Any = True, rescale: Any = True, ddof: int = 0
) -> tuple[Any, Any, int]:
    return center, rescale, ddof


def _center(x: Any) -> tuple[Any, Any, int]:
    return True, False, 1


class Scale(Moments):
    """``scale``, ``center``, ``standardize``."""

    SETTINGS: ClassVar[dict[str, Any]] = {
        "scale": _scale,
        "standardize": _standardize,
        "center": _center,
    }

    def state(self) -> dict[str, Any]:
        """Return centre and scale."""
        self.known()
        assert self.last is not None
        args, options = self.last
        center, scale, ddof = self.SETTINGS[self.call.function](*args, **options)
        middle = setting("center", center, self.mean, otherwise=0.0)
        squares = self.squares + self.count * (self.mean - middle) ** 2
        spread = float(np.sqrt(squares / max(self.count - ddof, 1)))
        return {"center": middle, "scale": setting("scale", scale, spread, otherwise=1.0)}


class Total(Learner):
    """``sum``."""

    def __init__(self, call: LearningCall) -> None:
        super().__init__(call)
        self.total, self.count = 0.0, 0
        self.constant = 0.0

    def _add(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.constant = 0.0  # single numbers count once, whatever the number of chunks
        for part in args:
            x = self.numbers(np.atleast_1d(getattr(part, "__wrapped__", part)))
            self.count += x.size
            if np.ndim(part) == 0:
                self.constant += float(np.sum(x))
            else:
                self.total += float(np.sum(x))

    def _absorb(self, other: Self) -> None:
        self.total += other.total
        self.count += other.count
        self.constant = other.constant if other.count else self.constant

    def state(self) -> dict[str, Any]:
        """Return the sum."""
        if not self.count:
            present(np.full(1, np.nan), self.call.function)
        return {"value": self.total + self.constant}


class Extremes(Learner):
    """Functions that depend on the smallest and the largest value only."""

    def __init__(self, call: LearningCall) -> None:
        super().__init__(call)
        self.low, self.high = np.inf, -np.inf

    def _add(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        parts = args if self.call.function in ("min", "max") else args[:1]
        for part in parts:
            x = self.numbers(np.atleast_1d(getattr(part, "__wrapped__", part)))
            if x.size:
                self.low = min(self.low, float(x.min()))
                self.high = max(self.high, float(x.max()))

    def _absorb(self, other: Self) -> None:
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def state(self) -> dict[str, Any]:
        """Return what the function makes of the two."""
        none = self.low > self.high
        return self.replayed(np.full(1, np.nan) if none else np.array([self.low, self.high]))


class Polynomial(Learner):
    """Orthogonal ``poly``: chunks as quadrature rules, which are exact for what it needs."""

    def __init__(self, call: LearningCall, degree: int) -> None:
        super().__init__(call)
        self.degree = degree
        self.rule = Quadrature(degree)

    def _add(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.rule.add(self.numbers(args[0]))

    def _absorb(self, other: Self) -> None:
        self.rule.absorb(other.rule)

    def state(self) -> dict[str, Any]:
        """Return the recurrence."""
        values = self.rule.distinct
        if values is not None and len(values) <= self.degree:
            return self.replayed(values if len(values) else np.full(1, np.nan))  # refuses
        alpha, norms = self.rule.recurrence()
        return {"alpha": alpha, "norms": norms}


class Whole(Learner):
    """Functions that need the whole column: it is gathered, and given to the function."""

    in_memory = True
    factor = 12

    def __init__(self, call: LearningCall, room: Room) -> None:
        super().__init__(call)
        self.room = room
        self.pieces: list[list[Any]] = []

    def _add(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        column = self.column(args[0])
        self.room.take(column.nbytes, self.call.text)
        self.pieces.append([column])

    def _absorb(self, other: Self) -> None:
        self.pieces += other.pieces

    def column(self, column: Any) -> FloatArray:
        """Return what has to be kept of a chunk's values."""
        return as_numbers(column, self.call.function)

    def state(self) -> dict[str, Any]:
        """Return what the function learns."""
        gathered = np.concatenate([piece[0] for piece in self.pieces])
        self.pieces.clear()
        self.room.check(self.factor * gathered.nbytes, self.call.text)
        return self.replayed(gathered)


class Quantiles(Whole):
    """Splines whose knots are quantiles, and ``median``: the values alone matter."""

    factor = 3

    def column(self, column: Any) -> FloatArray:
        """Return the values that are there."""
        return self.numbers(column)

    def state(self) -> dict[str, Any]:
        """Return the knots, or the median, without computing the basis in every row."""
        gathered = np.concatenate([piece[0] for piece in self.pieces])
        self.pieces.clear()
        self.room.check(self.factor * gathered.nbytes, self.call.text)
        if self.call.function == "median":
            present(gathered if gathered.size else np.full(1, np.nan), "median")
            return {"value": float(np.median(gathered))}
        return self._knots(gathered)

    def _knots(self, gathered: FloatArray) -> dict[str, Any]:
        assert self.last is not None
        given = _given(self.call.function, self.last)
        df, name = int(given["df"]), self.call.function
        if not gathered.size:
            gathered = np.full(1, np.nan)  # refuses
        state: dict[str, Any] = {}
        spare = df - _least(name, given)
        learn_knots(name, gathered, spare, df, None, given.get("Boundary_knots"), state)
        return state


def learner_of(call: LearningCall, arguments: Arguments, room: Room) -> Learner:
    """Return what learns a call.

    Parameters
    ----------
    call : LearningCall
        The call.
    arguments : tuple
        Its arguments in the first chunk.
    room : Room
        Memory for columns that must be gathered.
    """
    name = call.function
    if name in Scale.SETTINGS:
        return Scale(call)
    if name in ("mean", "sd", "var"):
        return Summary(call)
    if name == "sum":
        return Total(call)
    if name in ("min", "max"):
        return Extremes(call)
    if name == "median":
        return Quantiles(call, room)
    given = _given(name, arguments)
    if name == "poly":
        degree = given.get("degree", 1)
        usable = not isinstance(degree, bool) and int(degree) == degree and degree >= 1
        return Nothing(call) if given.get("raw") or not usable else Polynomial(call, int(degree))
    if name == "cut":
        return Extremes(call) if np.ndim(given.get("breaks", 0)) == 0 else Nothing(call)
    if name in ("bs", "ns") and not given.get("options"):
        return _spline(call, given, room)
    return Whole(call, room)


def _given(name: str, arguments: Arguments) -> dict[str, Any]:
    args, options = arguments
    signature = inspect.signature(FUNCTIONS[name])
    return dict(signature.bind_partial(*args, **options).arguments)


def _spline(call: LearningCall, given: dict[str, Any], room: Room) -> Learner:
    """Knots at quantiles need the column; given ones, or none, only its range."""
    df, knots = given.get("df"), given.get("knots")
    if knots is not None or df is None or df <= _least(call.function, given):
        if given.get("Boundary_knots") is not None and knots is not None:
            return Nothing(call)
        return Extremes(call)
    return Quantiles(call, room)


def _least(name: str, given: dict[str, Any]) -> int:
    """Columns of a spline without inner knots."""
    return int(given.get("degree", 3) if name == "bs" else 1) + bool(given.get("intercept"))
