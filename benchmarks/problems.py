"""The frozen list of problems, with the answer that each of them has.

A problem is data, a formula, a criterion and the best known value of that criterion. The values
come from the stored reference fits (``tests/reference``), from the best optimum known for the
external data, and, for the generated data, from two independent packages that agree.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "PROBLEMS",
    "PUBLISHED",
    "TARGETS",
    "WARM_UP",
    "Problem",
    "Published",
    "Target",
    "problem_named",
]


@dataclass(frozen=True)
class Problem:
    """One model on one data set.

    Attributes
    ----------
    name : str
        Row label.
    structure : str
        What kind of random-effects structure it exercises.
    formula : str
        The model in lme4's notation.
    criterion : {"REML", "ML"}
        What is maximised.
    data : str
        Key of the loader in ``benchmarks.data``.
    n : int
        Rows used.
    reference_reml, reference_ml : float or None
        Best known value of the criterion, -2 log (restricted) likelihood. The ML value of a REML
        problem serves packages that offer ML only.
    external : bool
        True where the data are not part of the project.
    seed : int or None
        Seed of the generator, for generated data.
    stages : tuple of str
        What is timed: ``call`` (string and frame to numbers), ``refit`` (a new response on a
        fitted model).
    """

    name: str
    structure: str
    formula: str
    criterion: str
    data: str
    n: int
    reference_reml: float | None = None
    reference_ml: float | None = None
    external: bool = False
    seed: int | None = None
    stages: tuple[str, ...] = ("call",)

    def reference(self, criterion: str) -> float | None:
        """Best known value of ``criterion``, or None."""
        return self.reference_reml if criterion == "REML" else self.reference_ml

    def tolerance(self, criterion: str) -> float:
        """Distance from the reference that still counts as the same optimum."""
        value = self.reference(criterion)
        return 1e-6 + 1e-10 * abs(value or 0.0)

    def formula_variant(self, i: int) -> str:
        """Return the formula with other white space, so that no cache keyed by text is hit."""
        return self.formula.replace("~", "~" + " " * (i + 1), 1)


@dataclass(frozen=True)
class Published:
    """Figures published by MixedModels.jl, measured by its authors on other hardware.

    Seconds (evaluations) without derivatives and with an analytic gradient; 4 threads, the 5.8
    development version.
    """

    derivative_free: str
    gradient: str


@dataclass(frozen=True)
class Target:
    """A speed that lmmformula is held to.

    ``fraction`` of the named contender's seconds, or ``limit`` seconds where no contender is named;
    ``quantity`` is ``seconds`` or ``memory`` (peak increase over the size of the loaded frame).
    """

    problem: str
    stage: str
    contender: str | None = None
    fraction: float | None = None
    limit: float | None = None
    quantity: str = "seconds"


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        name="sleepstudy",
        structure="one factor, vector",
        formula="Reaction ~ Days + (Days | Subject)",
        criterion="REML",
        data="sleepstudy",
        n=180,
        reference_reml=1743.62827195849,
        reference_ml=1751.9393444632,
        stages=("call", "refit"),
    ),
    Problem(
        name="penicillin",
        structure="two crossed scalars",
        formula="diameter ~ 1 + (1 | plate) + (1 | sample)",
        criterion="REML",
        data="penicillin",
        n=144,
        reference_reml=330.860588991086,
        reference_ml=332.188348668501,
    ),
    Problem(
        name="cake",
        structure="one scalar, interaction as factor",
        formula="angle ~ recipe * temp + (1 | recipe:replicate)",
        criterion="REML",
        data="cake",
        n=270,
        reference_reml=1703.26748007549,
        reference_ml=1696.07325663151,
    ),
    Problem(
        name="scotssec",
        structure="two crossed scalars",
        formula="attain ~ sex + (1 | primary) + (1 | second)",
        criterion="REML",
        data="scotssec",
        n=3435,
        reference_reml=17127.9114132351,
        reference_ml=17123.4707604046,
    ),
    Problem(
        name="chem97",
        structure="two nested scalars",
        formula="score ~ gcsecnt + (1 | lea/school)",
        criterion="REML",
        data="chem97",
        n=31022,
        reference_reml=141696.988149307,
        reference_ml=141685.560214102,
    ),
    Problem(
        name="insteval",
        structure="three crossed scalars",
        formula="y ~ service + (1 | s) + (1 | d) + (1 | dept:service)",
        criterion="REML",
        data="insteval",
        n=73421,
        reference_reml=237661.535719744,
        reference_ml=237651.782717497,
    ),
    Problem(
        name="timss_full",
        structure="one factor, vector",
        formula=(
            "science ~ grpCmath + grpMmath + grade + gender + grpChoursTV + grpMhoursTV"
            " + (grpCmath + grpChoursTV | idschool)"
        ),
        criterion="REML",
        data="timss",
        n=7097,
        reference_reml=48375.6307345765,
        reference_ml=48355.6482619595,
    ),
    Problem(
        name="kb07",
        structure="two crossed vectors",
        formula=(
            "rt_trunc ~ spkr * prec * load"
            " + (spkr + prec + load | subj) + (spkr + prec + load | item)"
        ),
        criterion="ML",
        data="kb07",
        n=1789,
        reference_ml=28637.122685383,
        external=True,
    ),
    Problem(
        name="maximal_72",
        structure="two crossed vectors",
        formula="RT ~ A * B * C + (A * B * C | subj) + (A * B * C | item)",
        criterion="REML",
        data="maximal_72",
        n=1792,
        reference_reml=28431.135031918,
        external=True,
    ),
    Problem(
        name="mrk17",
        structure="two crossed vectors",
        formula=(
            "speed ~ F * P * Q * lQ * lT + (P + Q + lQ + lT | Item) + (F + P + Q + lQ + lT | Subj)"
        ),
        criterion="ML",
        data="mrk17",
        n=16409,
        reference_ml=7147.518976776,
        external=True,
    ),
    Problem(
        name="kkl15",
        structure="one factor, vector",
        formula="rt ~ tar + (tar | subj)",
        criterion="ML",
        data="kkl15",
        n=53765,
        reference_ml=602662.2394,
        external=True,
    ),
    Problem(
        name="kwdyz11",
        structure="two crossed vectors",
        formula="rt ~ tar + (tar | subj) + (tar | item)",
        criterion="ML",
        data="kwdyz11",
        n=28710,
        reference_ml=325100.05457457,
        external=True,
    ),
    Problem(
        name="million",
        structure="one factor, vector, 10^6 rows in 10^4 groups",
        formula="y ~ x + (x | g)",
        criterion="REML",
        data="million",
        n=1_000_000,
        reference_reml=2909870.492188,
        seed=20240501,
    ),
)

WARM_UP = Problem(
    name="warm-up",
    structure="one scalar",
    formula="y ~ x + (1 | g)",
    criterion="ML",
    data="warm-up",
    n=400,
)

PUBLISHED: dict[str, Published] = {
    "kb07": Published("0.30 (798)", "0.058 (49)"),
    "kwdyz11": Published("4.9", "0.56"),
    "mrk17": Published("28.9 (3241)", "3.14 (91)"),
    "insteval": Published("1.23", "3.75"),
    "kkl15": Published("0.046", "0.026"),
}

TARGETS: tuple[Target, ...] = (
    Target("insteval", "call", "lme4", fraction=1 / 10),
    Target("insteval", "call", "glmm", fraction=1.0),
    Target("kb07", "call", "lme4", fraction=1 / 20),
    Target("kwdyz11", "call", "lme4", fraction=1 / 50),
    Target("mrk17", "call", "lme4", fraction=1 / 50),
    Target("maximal_72", "call", "lme4", fraction=1 / 100),
    Target("million", "call", "lme4", fraction=1 / 80),
    Target("million", "call", "glmm", fraction=1 / 2),
    Target("million", "call", limit=3.0, quantity="memory"),
    Target("sleepstudy", "call", "lme4", fraction=1 / 2),
    Target("sleepstudy", "refit", limit=0.0015),
)


def problem_named(name: str) -> Problem:
    """Return the problem called ``name``."""
    for problem in PROBLEMS:
        if problem.name == name:
            return problem
    known = ", ".join(p.name for p in PROBLEMS)
    raise KeyError(f"no problem {name!r}; there are {known}")
