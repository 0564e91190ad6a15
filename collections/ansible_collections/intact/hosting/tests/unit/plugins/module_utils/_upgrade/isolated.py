# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network and mount namespaces for tests with real daemons: what happens in one is gone with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import pytest


def needs(*programs):
    """A mark that skips without root or one of these programs."""
    lacks = [name for name in programs + ("unshare", "nsenter", "ip") if not shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    reason = "needs root" if os.geteuid() else "needs %s" % ", ".join(lacks)
    return pytest.mark.skipif(bool(os.geteuid() or lacks), reason=reason)


class Place:
    """A process that holds a network namespace, and with it a mount namespace."""

    def __init__(self, script=":"):
        self.process = subprocess.Popen(
            ["unshare", "-n", "-m", "--propagation", "private", "sh", "-ec", script + "\necho ready\nexec sleep 3600"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self.process.stdout.readline() != "ready\n":
            error = self.process.stderr.read()
            self.end()
            pytest.skip("a namespace cannot be made here: %s" % error.strip())

    def argv(self, *argv):
        """A command line that runs in it."""
        return ["nsenter", "-t", str(self.process.pid), "-n", "-m", "--"] + list(argv)

    def run(self, *argv, check=True, stdin=None, **more):
        """Run a command in it; returns its output."""
        done = subprocess.run(self.argv(*argv), capture_output=True, text=True, check=False, input=stdin, timeout=120, **more)
        if check and done.returncode:
            raise AssertionError("%s: %s%s" % (" ".join(argv), done.stdout, done.stderr))
        return done if not check else done.stdout

    def python(self, program, *words, check=True):
        """Run a Python program in it, with our modules."""
        env = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p))
        return self.run(sys.executable, "-B", "-c", program, *words, check=check, env=env)

    def end(self):
        """Kill what holds it."""
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def places(*scripts):
    """Places, one for each script that prepares it; ended at the end."""
    made = []
    try:
        for script in scripts:
            made.append(Place(script))
            made[-1].run("ip", "link", "set", "lo", "up")
        yield made
    finally:
        for place in made:
            place.end()


def wire(first, second, *pairs):
    """Join two places by a cable; pairs: (address of the first, address of the second), with prefix lengths."""
    first.run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(second.process.pid))
    for place, index in ((first, 0), (second, 1)):
        for pair in pairs:
            place.run("ip", "addr", "add", pair[index], "dev", "cable", *(["nodad"] if ":" in pair[index] else []))
        place.run("ip", "link", "set", "cable", "up")
