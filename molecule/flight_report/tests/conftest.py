# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's Chromium, spoken to over its debugging pipe: no driver, no library, no open port."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FLIGHT = "web1-upgrade-20261122t1134z"


class Browser:
    """One headless Chromium with one page. events: all that it told since the page was opened."""

    def __init__(self):
        program = shutil.which("chromium")
        assert program, "Chromium is not installed: apt-get install chromium (make test does it)"
        self.profile = tempfile.mkdtemp(prefix="intact-chromium-")
        # the browser reads at 3 and writes at 4; our own ends must be elsewhere, or closing them would close those
        down, up = ([fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in os.pipe()] for _way in ("down", "up"))
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            "--user-data-dir=" + self.profile,
        ]
        script = 'exec 3<&%d 4>&%d %d<&- %d>&-; exec "$@"' % (down[0], up[1], down[0], up[1])
        self.process = subprocess.Popen(
            ["bash", "-c", script, "chromium", program, *flags, "about:blank"], pass_fds=(down[0], up[1]), stderr=subprocess.DEVNULL
        )
        os.close(down[0])
        os.close(up[1])
        self.write, self.read, self.buffer, self.count, self.events, self.session = down[1], up[0], b"", 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def call(self, method, **params):
        """Send one command and return its result; what else comes meanwhile goes to events."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive(30)
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def receive(self, seconds):
        """The next message."""
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _w, _x = select.select([self.read], [], [], max(0, end - time.monotonic()))
            assert ready, "Chromium gave no answer"
            data = os.read(self.read, 1 << 20)
            assert data, "Chromium ended"
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def show(self, path, width, height, scheme):
        """Open a file in a window of this size with this colour scheme."""
        self.events = []
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=path.as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive(30))

    def ask(self, expression):
        """The value of a JavaScript expression in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, path, whole=False):
        """A screenshot as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))

    def close(self):
        """End the browser that was started here."""
        self.process.terminate()
        self.process.wait(timeout=20)
        shutil.rmtree(self.profile, ignore_errors=True)


@pytest.fixture(scope="session")
def browser():
    """A Browser."""
    started = Browser()
    yield started
    started.close()


@pytest.fixture(params=["intact", "loss"])
def page(request):
    """Path of a drawn report."""
    return ROOT / "build" / "molecule" / "flight_report" / request.param / FLIGHT / "report.html"
