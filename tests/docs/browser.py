"""Talks to a headless Chromium through its pipe: open a page, run a line in it, take a picture.

Only the standard library is needed: messages of the DevTools protocol, divided by a zero byte, go
through two file descriptors that ``--remote-debugging-pipe`` reads and writes.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
PATIENCE = 30.0


class Page:
    """One tab.

    Attributes
    ----------
    complaints : list of str
        Warnings and errors of the console, exceptions, and files that did not come.
    requested : list of str
        Addresses that were asked for.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing, self._rest = reading, writing, b""
        self._number = itertools.count(1)
        self._session = ""
        self._loaded = False
        self.complaints: list[str] = []
        self.requested: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        number = next(self._number)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while (answer := self._next(end)).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        """Go to an address and wait until everything there has been loaded."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        self._loaded = False
        is_new = "loaderId" in self.call("Page.navigate", url=url)  # not a place in the same page
        end = time.monotonic() + PATIENCE
        while is_new and not self._loaded:
            self._next(end)

    def run(self, line: str) -> Any:
        """Return what an expression is in the page."""
        options = {"returnByValue": True, "awaitPromise": True}
        found = self.call("Runtime.evaluate", expression=line, **options)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, line: str) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + PATIENCE
        while not self.run(line):
            assert time.monotonic() < end, f"never true: {line}"
            time.sleep(0.05)

    def picture(self, path: Path) -> None:
        """Write what is on the screen as PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def _next(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._reading], [], [], max(end - time.monotonic(), 0.0))
            assert ready, "the browser does not answer"
            found = os.read(self._reading, 1 << 16)
            assert found, "the browser has gone"
            self._rest += found
        text, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, found: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.consoleAPICalled" and found["type"] in ("error", "warning"):
            self.complaints.append(str(found["args"]))
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(found["exceptionDetails"]))
        elif event == "Log.entryAdded" and found["entry"]["level"] in ("error", "warning"):
            self.complaints.append(str(found["entry"]))
        elif event == "Network.loadingFailed" and not found.get("canceled"):
            self.complaints.append(str(found))
        elif event == "Network.requestWillBeSent":
            self.requested.append(found["request"]["url"])


@contextmanager
def opened(profile: Path) -> Iterator[Page]:
    """Start Chromium with an empty profile; it ends with the block."""
    to_browser, writing = os.pipe()
    reading, from_browser = os.pipe()
    # The browser knows its two ends as 3 and 4; a shell puts them there.
    line = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    flags += ["--remote-debugging-pipe", f"--user-data-dir={profile}"]
    command = ["bash", "-c", line, "bash", str(CHROMIUM), *flags]
    ends = (to_browser, from_browser)
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, pass_fds=ends, stdout=quiet, stderr=quiet) as process:
        for end in ends:
            os.close(end)
        try:
            yield Page(reading, writing)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)
            os.close(reading)
            os.close(writing)
