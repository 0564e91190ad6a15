# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Run a command and hand back what it said: the one way module_utils start programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Result:
    """What a command left behind: exit status, and its two streams as bytes."""

    argv: tuple
    rc: int
    out: bytes
    err: bytes

    @property
    def text(self):
        """Standard output as text; bytes that are not UTF-8 survive as surrogates."""
        return self.out.decode("utf-8", "surrogateescape")

    @property
    def error(self):
        """Last lines of standard error as printable text, for a finding's evidence."""
        return self.err.decode("utf-8", "backslashreplace").strip()[-2000:]


def which(name):
    """Full path of a program, sbin included, or None."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + SBIN)


def run(argv, timeout=120, stdin=b"", env=None, check=True, locale="C.UTF-8"):
    """Run argv without a shell and return a Result.

    timeout: seconds. stdin: bytes. env: extra variables. With check, a non-zero
    exit raises IntactError. A missing program and a time-out always raise.
    """
    full = dict(os.environ, LC_ALL=locale, LANG=locale, PATH=os.environ.get("PATH", "") + ":" + SBIN)
    full.update(env or {})
    program = str(argv[0])
    try:
        done = subprocess.run([os.fsencode(a) for a in argv], input=stdin, capture_output=True, env=full, timeout=timeout, check=False)
    except FileNotFoundError as exc:
        raise IntactError("%s is not installed on this host" % program, program=program) from exc
    except subprocess.TimeoutExpired as exc:
        raise IntactError("%s gave no answer within %d s" % (program, timeout), program=program, timeout=timeout) from exc
    result = Result(tuple(str(a) for a in argv), done.returncode, done.stdout, done.stderr)
    if check and done.returncode != 0:
        said = result.error.splitlines()[-1:] or [result.text.strip()[-300:]]
        raise IntactError("%s ended with status %d: %s" % (program, done.returncode, said[0]), program=program, rc=done.returncode)
    return result
