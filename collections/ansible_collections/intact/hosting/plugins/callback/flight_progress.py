# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: flight_progress
type: aggregate
short_description: Show how far an upgrade is while its hosts do the work
version_added: 0.1.0
author:
  - Intact contributors (@intact-project)
description:
  - While M(intact.hosting.upgrade_watch) waits for a host, shows stage, time against budget, packages done of total, and the time left.
  - On a terminal one line for each host, redrawn in place. Elsewhere (AWX, CI) a plain line when the stage changes, and at most every 30 seconds.
  - Says when 50, 75, 90 and 100 percent of the time for a host are used up.
  - At the end of the playbook says the verdict and the path of each report that was drawn.
requirements:
  - enabled in ansible.cfg (C(callbacks_enabled))
options:
  flights_dir:
    description:
      - Directory on the controller with a folder for each flight that holds C(progress.json).
      - When it is not set, what C(intact_flights_dir) says as an extra variable, else C(flights) beside the playbook's directory.
    type: path
    env:
      - name: INTACT_FLIGHTS_DIR
    ini:
      - section: callback_flight_progress
        key: flights_dir
  style:
    description: How to show. V(auto) is V(live) on a terminal and V(plain) elsewhere.
    type: str
    choices: [auto, live, plain, 'off']
    default: auto
    env:
      - name: INTACT_PROGRESS
    ini:
      - section: callback_flight_progress
        key: style
"""

import atexit
import datetime
import glob
import json
import os
import shutil
import sys
import threading
import time

from ansible.plugins.callback import CallbackBase

from ansible_collections.intact.hosting.plugins.module_utils._report import _progress
from ansible_collections.intact.hosting.plugins.module_utils._report._words import visible

WATCHING = ("intact.hosting.upgrade_watch", "upgrade_watch")
OPENING = ("intact.hosting.flight", "flight")
DRAWING = ("intact.hosting.flight_report", "flight_report")


def on_terminal(stream, environment):
    """Whether lines can be redrawn: a terminal that a person looks at. ansible-runner (AWX) gives a terminal that nobody does."""
    runner = any(key in environment for key in ("AWX_ISOLATED_DATA_DIR", "RUNNER_OMIT_EVENTS", "JOB_ID", "CI"))
    return bool(not runner and hasattr(stream, "isatty") and stream.isatty() and environment.get("TERM", "dumb") != "dumb")


def read_states(directory, since):
    """States of progress files written since (seconds since 1970), by host; a file that is missing or half there is passed over."""
    states = {}
    for path in sorted(glob.glob(os.path.join(glob.escape(directory), "*", "progress.json"))):
        try:
            if os.stat(path).st_mtime < since:
                continue
            with open(path, encoding="utf-8") as handle:
                state = json.load(handle)
        except (OSError, ValueError):
            continue
        if isinstance(state, dict):
            states[str(state.get("host") or os.path.basename(os.path.dirname(path)))] = state
    return states


class CallbackModule(CallbackBase):
    """Draws in a thread of the main process; the stdout callback goes on as it is."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "intact.hosting.flight_progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._pid = os.getpid()
        self._thread = None
        self._stopping = threading.Event()
        self._base = "."
        self._said = ""
        self._drawn = 0
        self._reports = {}
        self._flights = {}
        self._plain_display = None
        atexit.register(self._stop)

    def v2_playbook_on_start(self, playbook):
        """Learn where the playbook is."""
        self._base = getattr(playbook, "_basedir", None) or "."

    def v2_playbook_on_play_start(self, play):
        """Learn where the flights are kept when it was said with --extra-vars (in AWX: in the survey)."""
        manager = play.get_variable_manager()
        said = (manager.extra_vars if manager else {}).get("intact_flights_dir")
        self._said = said if isinstance(said, str) and "{{" not in said else ""

    def v2_playbook_on_task_start(self, task, is_conditional):
        """Start to show with the watching task, stop with the next one."""
        self._stop()
        if getattr(task, "action", "") in WATCHING and self.get_option("style") != "off":
            self._start(self._directory(task))

    def v2_playbook_on_handler_task_start(self, task):
        """A handler is a task as well."""
        self._stop()

    def v2_runner_on_ok(self, result):
        """Remember what was said when the flight was opened, and the reports that were drawn."""
        action = getattr(getattr(result, "task", None) or result._task, "action", "")
        if action not in OPENING + DRAWING:
            return
        host = (getattr(result, "host", None) or result._host).get_name()
        found = getattr(result, "result", None) or result._result
        for entry in found.get("results", [found]):
            if not isinstance(entry, dict):
                continue
            if action in DRAWING and entry.get("verdict"):
                self._reports[(host, entry.get("html", ""))] = entry
            elif action in OPENING and entry.get("opened"):
                self._flights[host] = {key: entry.get(key) for key in ("opened", "budget_seconds", "budget", "budgets")}

    def v2_playbook_on_stats(self, stats):
        """Say how it ended."""
        self._stop()
        for (host, path), entry in sorted(self._reports.items()):
            colour = {"INTACT": "green", "STILL RUNNING": "cyan"}.get(entry["verdict"], "red")
            self._display.display("\n%s: %s  %s" % (host, entry["verdict"], visible(entry.get("sentence", ""))), color=colour)
            for caveat in entry.get("caveats") or []:
                self._display.display("  ! %s" % visible(caveat))
            self._display.display("  report: %s" % path)

    def _directory(self, task):
        """Where the flights are: the option, else what the task says when it says it plainly, else beside the playbooks."""
        if self.get_option("flights_dir"):
            return self.get_option("flights_dir")
        said = (getattr(task, "args", None) or {}).get("progress_directory")
        if isinstance(said, str) and "{{" not in said and said:
            return os.path.dirname(said.rstrip("/"))
        return self._said or os.path.join(self._base, "..", "flights")

    def _start(self, directory):
        """Begin to draw."""
        style = self.get_option("style")
        live = style == "live" or (style == "auto" and on_terminal(sys.stdout, os.environ))
        self._stopping.clear()
        # a file from an earlier run must not be shown; the file system's clock may be a little behind
        self._thread = threading.Thread(target=self._follow, args=(directory, time.time() - 2, live), name="flight_progress", daemon=True)
        if live:
            self._wrap_display()
        self._thread.start()

    def _stop(self):
        """End drawing and leave the last state standing as ordinary lines. Also called when the process ends (Ctrl-C)."""
        if self._thread is None or os.getpid() != self._pid:
            return
        thread, self._thread = self._thread, None
        self._stopping.set()
        thread.join(timeout=5)
        if self._plain_display is not None:
            self._display.display = self._plain_display
            self._plain_display = None

    def _wrap_display(self):
        """Other output takes the drawn lines away first, in the main process only; they come back with the next look."""
        plain = self._plain_display = self._display.display

        def display(*args, **kwargs):
            if os.getpid() != self._pid:
                return plain(*args, **kwargs)
            with self._display._lock:
                self._erase()
                return plain(*args, **kwargs)

        self._display.display = display

    def _erase(self):
        """Take the drawn lines off the screen."""
        if self._drawn:
            sys.stdout.write("\x1b[%dA\r\x1b[J" % self._drawn)
            sys.stdout.flush()
            self._drawn = 0

    def _follow(self, directory, since, live):
        """Look and draw until told to stop; whatever goes wrong here must not reach the playbook."""
        paces, teller, last = {}, _progress.Teller(), []
        while True:
            ending = self._stopping.wait(0 if not last and not paces else 1.0)
            try:
                last = self._look(directory, since, paces)
                self._draw(last, teller, live, ending)
            except Exception as exc:  # pylint: disable=broad-except  # a drawing must not end the playbook
                self._display.vvv("flight_progress: %s: %s" % (type(exc).__name__, exc))
            if ending:
                return
            if not last:
                self._stopping.wait(1.0)

    def _look(self, directory, since, paces):
        """[(state, pace)] of the hosts under way."""
        found = []
        for host, said in sorted(read_states(directory, since).items()):
            # what the host does not know of its flight is known from the opening
            state = dict(said, **{key: value for key, value in (self._flights.get(host) or {}).items() if not said.get(key)})
            pace = paces.setdefault(host, _progress.Pace())
            pace.add(state.get("stage"), state.get("done"), time.monotonic(), bool(state.get("held")))
            found.append((state, pace))
        return found

    def _draw(self, found, teller, live, ending):
        """Draw one look."""
        now, steady = datetime.datetime.now(datetime.timezone.utc), time.monotonic()
        for warning in [teller.warning(state, now) for state, _pace in found]:
            if warning:
                self._display.display("[time] %s" % warning, color="red" if " is over" in warning else "yellow")
        if not live:
            for state, pace in found:
                if teller.due(state, steady):
                    self._display.display(_progress.plain(state, pace, now, steady))
                    # ansible-core leaves what goes into a pipe or file to be flushed at its end
                    with self._display._lock:
                        sys.stdout.flush()
            return
        size = shutil.get_terminal_size((100, 24))
        lines = [_progress.live(state, pace, now, steady, size.columns) for state, pace in found]
        most = max(1, size.lines - 2)
        if len(lines) > most:
            lines = lines[: most - 1] + ["%d hosts more" % (len(lines) - most + 1)]
        # ansible-core forks its workers under this lock: no worker may inherit a half-written line
        with self._display._lock:
            self._erase()
            sys.stdout.write("".join(line + "\n" for line in lines))
            sys.stdout.flush()
            self._drawn = 0 if ending else len(lines)
