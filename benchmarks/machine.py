"""What the machine, the libraries and the options were (no paths, no host names)."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["describe", "thread_variables", "write_configuration", "write_environment"]

_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


def thread_variables(threads: int) -> dict[str, str]:
    """Environment that gives every library the same number of threads."""
    return dict.fromkeys(_THREAD_VARIABLES, str(threads))


def _first_line(path: str, start: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((ln.split(":", 1)[1].strip() for ln in lines if ln.startswith(start)), None)


def describe() -> dict[str, Any]:
    """Processor, cores, memory, system and Python of this machine."""
    return {
        "processor": _first_line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory": _first_line("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def write_environment(folder: Path, versions: dict[str, dict[str, str]]) -> None:
    """Write environment.json; versions of contenders that were not run again are kept."""
    path = folder / "environment.json"
    before = json.loads(path.read_text())["versions"] if path.exists() else {}
    content = {"machine": describe(), "versions": {**before, **versions}}
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def write_configuration(folder: Path, settings: dict[str, int | float | bool | str]) -> None:
    """Write config.toml from plain settings."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    (folder / "config.toml").write_text("\n".join(lines) + "\n")
