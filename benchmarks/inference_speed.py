"""Time of inference beside R, in one run; every answer is checked before its time counts.

    python -m benchmarks.inference_speed                # the whole, about three minutes
    python -m benchmarks.inference_speed --quick        # few repetitions, to try it

Writes ``results/inference/{results.csv,table.md,environment.json}``. R (lme4, lmerTest, jsonlite)
is found as ``Rscript`` on the path; ``--rscript`` names another, and ``--without-r`` leaves out
what needs it. Every library gets the same number of threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks.beside_r import RESULTS, Rscript, options, publish, restart_with_threads

__all__ = ["main"]


def main() -> None:
    """Run from the command line."""
    parser = options(__doc__.splitlines()[0], RESULTS / "inference")
    parser.add_argument("--without-r", action="store_true")
    arguments = parser.parse_args()
    restart_with_threads("benchmarks.inference_speed", arguments.threads)
    measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Time all items and write the results."""
    from benchmarks.inference_items import ITEMS, Row

    r = Rscript(None if arguments.without_r else arguments.rscript, "inference_speed.R")
    chosen: dict[str, Callable[[Rscript, bool], list[Row]]] = dict(ITEMS)
    if arguments.only:
        chosen = {name: chosen[name] for name in arguments.only.split(",")}
    rows = ((name, row) for name, item in chosen.items() for row in item(r, arguments.quick))
    publish(rows, r, arguments.folder)


if __name__ == "__main__":
    main()
