# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in's program run in this process: the same file with the same arguments, input, environment and streams, without the price of an interpreter."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import traceback
import types
from pathlib import Path
from unittest import mock

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

MARK = "# A stand-in"


def ours(path):
    """Whether a program's file is one that a stand-in's installation wrote."""
    with open(path, "rb") as handle:
        return handle.read(400).decode("latin-1").partition("\n")[2].startswith(MARK)


def run(path, argv, stdin=b"", env=None, check=True):
    """As _command.run() of the program at path."""
    streams = {"stdin": _stream(stdin), "stdout": _stream(), "stderr": _stream()}
    full = dict(os.environ, LC_ALL="C.UTF-8", LANG="C.UTF-8", PATH=os.environ.get("PATH", "") + ":" + _command.SBIN, **(env or {}))
    kept = {"path": list(sys.path), "argv": [path, *argv[1:]], "dont_write_bytecode": sys.dont_write_bytecode}
    functions = _functions()

    def becomes(program, words):
        """A program that turns into another one would take this process with it."""
        for stream in streams.values():
            stream.flush()
        done = subprocess.run(words, executable=shutil.which(program), input=stdin, capture_output=True, check=False)
        streams["stdout"].buffer.write(done.stdout)
        streams["stderr"].buffer.write(done.stderr)
        raise SystemExit(done.returncode)

    def caller():
        raise AssertionError("who started this stand-in is the test itself: it has to be a process of its own (View.apart)")

    with mock.patch.dict(os.environ, full), mock.patch.multiple(sys, **streams, **kept), mock.patch.multiple(os, execv=becomes, execvp=becomes, getppid=caller):
        status = _status(path, streams["stderr"])
    for package, name, function in functions:
        setattr(package, name, function)
    for stream in streams.values():
        stream.flush()
    result = _command.Result(tuple(argv), status, streams["stdout"].buffer.getvalue(), streams["stderr"].buffer.getvalue())
    if check and status:
        said = result.error.splitlines()[-1:] or [result.text.strip()[-300:]]
        raise IntactError("%s ended with status %d: %s" % (path, status, said[0]), program=path, rc=status)
    return result


def _functions():
    """[(package, name, function)] of the stand-ins': a module of the same name takes the function's place when it is imported, as a program does."""
    packages = [module for name, module in list(sys.modules.items()) if name.startswith("stand_ins.") and hasattr(module, "__path__")]
    return [(package, name, value) for package in packages for name, value in vars(package).items() if isinstance(value, types.FunctionType)]


def _stream(data=b""):
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="surrogateescape", newline="\n")


def _status(path, errors):
    """The exit status, as an interpreter of its own would end."""
    try:
        exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), {"__name__": "__main__"})
    except SystemExit as exc:
        if exc.code is None or isinstance(exc.code, int):
            return (exc.code or 0) & 0xFF
        errors.write("%s\n" % exc.code)
        return 1
    except Exception:  # told as an interpreter of its own tells it: on stderr, with status 1
        traceback.print_exc(file=errors)
        return 1
    return 0
