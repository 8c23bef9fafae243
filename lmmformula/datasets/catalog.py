"""What is known of each bundled data set: shape, factors, origin and licence.

The records are the only place where these facts stand; ``docs/data.md`` explains them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CATALOG", "LEFT_OUT", "Dataset", "Factor"]


@dataclass(frozen=True, slots=True)
class Factor:
    """Levels of a categorical column.

    Attributes
    ----------
    levels : tuple of str
        Levels in R's order; empty for levels that are whole numbers in increasing order.
    ordered : bool
        Whether the order has a meaning (an ordered factor in R).
    """

    levels: tuple[str, ...] = ()
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Dataset:
    """One bundled data set.

    Attributes
    ----------
    name : str
        Name for :func:`~lmmformula.load_dataset`.
    file : str
        File in the package's data folder (CSV, gzipped where large).
    rows : int
        Number of rows.
    description : str
        What was measured, in one sentence.
    origin : str
        Where the numbers were published, and which distribution they were taken from.
    licence : str
        Terms of that distribution, and why the numbers may be passed on.
    factors : dict of str to Factor
        The categorical columns.
    floats : tuple of str
        Columns of whole numbers that are measurements, read as floats.
    """

    name: str
    file: str
    rows: int
    description: str
    origin: str
    licence: str
    factors: dict[str, Factor] = field(default_factory=dict)
    floats: tuple[str, ...] = ()


_MIT = (
    "MIT in MixedModelsDatasets.jl (notice in data/LICENSES.md); also in lme4, GPL (>= 2); "
    "published measurements"
)
_FACTS = "published measurements (facts, no licence claimed)"
_DEPARTMENTS = ("15", "5", "10", "12", "6", "7", "4", "8", "9", "14", "1", "3", "11", "2")
_LETTERS = tuple("ABCDEFGHIJ")

CATALOG: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "sleepstudy",
            "sleepstudy.csv",
            180,
            "Reaction time (ms) of 18 sleep-deprived subjects on ten days",
            "Belenky et al. (2003), J. Sleep Research 12, 1-12; as in R package lme4",
            _MIT,
            {"Subject": Factor()},
            ("Days",),
        ),
        Dataset(
            "dyestuff",
            "dyestuff.csv",
            30,
            "Yield of dyestuff (g of standard colour), five preparations from each of six batches",
            "Davies and Goldsmith (1972), Statistical Methods in Research and Production, "
            "section 6.4; as in R package lme4",
            _MIT,
            {"Batch": Factor(_LETTERS[:6])},
            ("Yield",),
        ),
        Dataset(
            "dyestuff2",
            "dyestuff2.csv",
            30,
            "Simulated yields in the layout of dyestuff; the batch variance is estimated as zero",
            "Box and Tiao (1973), Bayesian Inference in Statistical Analysis, section 5.1.2; "
            "as in R package lme4",
            _MIT,
            {"Batch": Factor(_LETTERS[:6])},
        ),
        Dataset(
            "penicillin",
            "penicillin.csv",
            144,
            "Diameter (mm) of the growth-inhibition zone, six samples on each of 24 plates",
            "Davies and Goldsmith (1972), section 6.6; as in R package lme4",
            _MIT,
            {
                "plate": Factor(tuple("abcdefghijklmnopqrstuvwx")),
                "sample": Factor(_LETTERS[:6]),
            },
            ("diameter",),
        ),
        Dataset(
            "pastes",
            "pastes.csv",
            60,
            "Strength of a paste, two tests of each of three casks from ten deliveries",
            "Davies and Goldsmith (1972), section 6.5; as in R package lme4",
            _MIT,
            {
                "batch": Factor(_LETTERS),
                "cask": Factor(tuple("abc")),
                "sample": Factor(tuple(f"{b}:{c}" for b in _LETTERS for c in "abc")),
            },
        ),
        Dataset(
            "cake",
            "cake.csv",
            270,
            "Breaking angle of chocolate cakes, three recipes baked at six temperatures",
            "Cook (1938), thesis, Iowa State College; printed in Cochran and Cox (1957), "
            "Experimental Designs, p. 300; as in R package lme4",
            f"{_FACTS}; lme4 itself is GPL (>= 2)",
            {
                "replicate": Factor(),
                "recipe": Factor(tuple("ABC")),
                "temperature": Factor(("175", "185", "195", "205", "215", "225"), ordered=True),
            },
            ("temp",),
        ),
        Dataset(
            "insteval",
            "insteval.csv.gz",
            73421,
            "Ratings of lectures by students of ETH Zurich, anonymised",
            "ETH Zurich, contributed by M. Maechler to R package lme4 (InstEval)",
            "MIT in MixedModelsDatasets.jl (notice in data/LICENSES.md); also in lme4, GPL (>= 2)",
            {
                "s": Factor(),
                "d": Factor(),
                "studage": Factor(("2", "4", "6", "8"), ordered=True),
                "lectage": Factor(tuple("123456"), ordered=True),
                "service": Factor(("0", "1")),
                "dept": Factor(_DEPARTMENTS),
            },
        ),
        Dataset(
            "machines",
            "machines.csv",
            54,
            "Productivity scores of six workers on three machines, three times each",
            "Milliken and Johnson (1992), Analysis of Messy Data I, p. 285; "
            "as in R package nlme (Machines)",
            "MIT in MixedModelsDatasets.jl (notice in data/LICENSES.md); also in nlme, GPL (>= 2); "
            "published measurements",
            {"Worker": Factor(tuple("624135")), "Machine": Factor(tuple("ABC"))},
        ),
        Dataset(
            "grocery",
            "grocery.csv",
            40,
            "Prices (dollars) of ten groceries in four stores",
            "W. B. King, R Tutorials, Coastal Carolina University "
            "(single factor repeated measures ANOVA)",
            "forty shelf prices (facts, no licence claimed); nothing else of the tutorial is used",
            {
                "item": Factor(
                    (
                        "lettuce",
                        "potatoes",
                        "milk",
                        "eggs",
                        "bread",
                        "cereal",
                        "ground.beef",
                        "tomato.soup",
                        "laundry.detergent",
                        "aspirin",
                    )
                ),
                "store": Factor(("storeA", "storeB", "storeC", "storeD")),
            },
        ),
    )
}

LEFT_OUT: dict[str, str] = {
    name: "R package mlmRev distributes it under GPL (>= 2) and its origin states no terms"
    for name in ("chem97", "scotssec")
} | {"timss": "extract of the TIMSS study, whose own terms of use apply"}
"""Well-known data sets that are deliberately not bundled, and why."""
