"""One worker process seen from the runner: start, talk with time limits, stop."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.machine import thread_variables

__all__ = ["Session", "SilenceError", "WorkerDiedError", "remove", "write_frame"]

ROOT = Path(__file__).resolve().parent.parent


class SilenceError(Exception):
    """The worker said nothing within the time limit."""


class WorkerDiedError(Exception):
    """The worker ended without a word (killed, out of memory, crashed)."""


class Session:
    """A worker process; a context manager that never leaves the process behind."""

    def __init__(self, command: list[str], threads: int) -> None:
        environment = {**os.environ, **thread_variables(threads), "PYTHONPATH": str(ROOT)}
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                self._events.put(json.loads(line))
        self._events.put(None)

    def say(self, message: dict[str, Any]) -> None:
        """Send one line."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise WorkerDiedError(self._last_words()) from None

    def hear(self, limit: float) -> dict[str, Any]:
        """Wait for the next event, at most ``limit`` seconds."""
        try:
            event = self._events.get(timeout=limit)
        except queue.Empty:
            raise SilenceError from None
        if event is None:
            raise WorkerDiedError(self._last_words())
        return event

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        lines = [ln.strip() for ln in self._log.read().splitlines() if ln.strip()]
        last = lines[-1][:200] if lines else "no message"
        return f"exit status {self._process.returncode}: {last}"

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            try:
                self._process.wait(timeout=0.5 if kind is None else 0.0)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


def write_frame(frame: pd.DataFrame) -> Path:
    """Write a frame as raw columns for R, into a new temporary directory."""
    directory = Path(tempfile.mkdtemp(prefix="lmm-bench-"))
    columns = []
    for i, name in enumerate(frame.columns):
        column, entry = frame[name], {"name": str(name), "file": f"{i}.bin"}
        if isinstance(column.dtype, pd.CategoricalDtype):
            values = column.cat.codes.to_numpy().astype("<i4")
            entry["levels"] = [str(level) for level in column.cat.categories]
            entry["ordered"] = bool(column.cat.ordered)
        else:
            values = np.asarray(column, dtype="<f8")
        values.tofile(directory / entry["file"])
        columns.append(entry)
    (directory / "frame.json").write_text(json.dumps({"n": len(frame), "columns": columns}))
    return directory


def remove(directory: Path) -> None:
    """Remove what :func:`write_frame` wrote."""
    shutil.rmtree(directory, ignore_errors=True)
