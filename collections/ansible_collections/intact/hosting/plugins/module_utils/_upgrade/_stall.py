# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Whether a package command still works: told, never ended. Its log, and the processor time and bytes of all processes of its session."""

from __future__ import annotations

import os
import time

HZ = os.sysconf("SC_CLK_TCK")
# What waiting costs is no work: apt looks at its child every second (measured: 0.1 % of a processor). Share of one processor, bytes in the whole time.
IDLE_SHARE = 0.005
IDLE_BYTES = 64 << 10
# Seconds between two looks at /proc.
EVERY = 10


class Stall:
    """Decides, from what it is shown, when a stall begins and when it ends. Pure. minutes: 0 never tells."""

    def __init__(self, minutes, ticks_per_second=HZ):
        self.limit = minutes * 60.0
        self.hertz = ticks_per_second
        self.stalled = False
        self._mark = None

    def seen(self, now, log_bytes, cpu_ticks, io_bytes):
        """A sentence when it stalls, another when it moves again, else "". now: seconds of any steady clock; the others only grow."""
        mark = self._mark
        if mark is None or self._moved(mark, now, log_bytes, cpu_ticks, io_bytes):
            self._mark = (now, log_bytes, cpu_ticks, io_bytes)
            if self.stalled:
                self.stalled = False
                return "it moves again after %d min" % round((now - mark[0]) / 60.0)
            return ""
        if self.limit and not self.stalled and now - mark[0] >= self.limit:
            self.stalled = True
            return "no sign of work for %d min: nothing new in the log, no processor time, nothing read or written" % round((now - mark[0]) / 60.0)
        return ""

    def _moved(self, mark, now, log_bytes, cpu_ticks, io_bytes):
        then, log, ticks, moved = mark
        return log_bytes != log or io_bytes - moved > IDLE_BYTES or cpu_ticks - ticks > max(5, (now - then) * self.hertz * IDLE_SHARE)


def parse_stat(text):
    """{parent, session, name, ticks, began} of a /proc/PID/stat; ticks with those of children that ended. Pure."""
    head, _bracket, rest = text.rpartition(")")
    fields = rest.split()
    return {
        "name": head.partition("(")[2],
        "parent": int(fields[1]),
        "session": int(fields[3]),
        "ticks": sum(int(word) for word in fields[11:15]),
        "began": int(fields[19]),
    }


def family(processes, session):
    """Numbers of the processes of a session and of all that they started. processes: {number: parse_stat()}. Pure."""
    inside = {number for number, facts in processes.items() if facts["session"] == session or number == session}
    while True:
        more = {number for number, facts in processes.items() if facts["parent"] in inside} - inside
        if not more:
            return inside
        inside |= more


class Reader:
    """Sums over the processes of a session that never go down when one of them ends."""

    def __init__(self, proc="/proc"):
        self.proc = proc
        self.ticks = self.bytes = 0
        self.youngest = ""
        self._known = {}

    def read(self, session):
        """(processor ticks, bytes read and written) since the first look."""
        processes = {}
        for name in os.listdir(self.proc):
            if name.isdigit():
                try:
                    processes[int(name)] = parse_stat(self._text(name, "stat"))
                except (OSError, ValueError, IndexError):
                    continue
        inside, known = family(processes, session), {}
        for number in inside:
            facts = processes[number]
            key = (number, facts["began"])
            now = (facts["ticks"], self._io(number))
            before = self._known.get(key, (0, 0))
            self.ticks += max(0, now[0] - before[0])
            self.bytes += max(0, now[1] - before[1])
            known[key] = now
        self._known = known
        last = max(inside, key=lambda number: (processes[number]["began"], number), default=None)
        self.youngest = "%s, process %d" % (processes[last]["name"], last) if last else ""
        return self.ticks, self.bytes

    def _text(self, *parts):
        with open(os.path.join(self.proc, *parts), encoding="utf-8", errors="backslashreplace") as handle:
            return handle.read()

    def _io(self, number):
        try:
            lines = self._text(str(number), "io").splitlines()
            return sum(int(line.split()[1]) for line in lines if line.startswith(("rchar:", "wchar:")))
        except (OSError, ValueError, IndexError):
            return 0


class Watcher:
    """Watches one package command and tells journal and state. tell: function(sentence), called once per stall and once when it moves again."""

    def __init__(self, minutes, log_size, tell, clock=time.monotonic, reader=None):
        self.stall = Stall(minutes)
        self.log_size, self.tell, self.clock = log_size, tell, clock
        self.reader = reader or Reader()
        self.message = ""
        self._looked = None

    def look(self, session):
        """What the state's message should say while it stalls, "" while it works. session: the command's, by its first process."""
        now = self.clock()
        if not self.stall.limit or (self._looked is not None and now - self._looked < EVERY):
            return self.message
        self._looked = now
        said = self.stall.seen(now, self.log_size(), *self.reader.read(session))
        if said:
            text = "%s (%s)" % (said, self.reader.youngest) if self.stall.stalled and self.reader.youngest else said
            self.message = "STALLED: %s. It is left alone; look at it on the host" % text if self.stall.stalled else ""
            self.tell(text)
        return self.message
