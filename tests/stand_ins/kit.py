# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all stand-ins here are made of: programs at their real paths below a root, files, archives, and a switch per failure.

Standard library only, as the stand-ins' programs import it. Switches are files below root/stand-in.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PROGRAM = """#!{python} -S
# A stand-in of Intact's tests, not the program of this name: see tests/stand_ins.
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, {tests!r})
from stand_ins.{module} import {function}

sys.exit({function}({root!r}, {name!r}, sys.argv[1:]))
"""


def real(root, path):
    """Where a path that a stand-in was given lies: below root, or already there."""
    path = os.fspath(path)
    return path if path.startswith(os.fspath(root) + "/") else os.fspath(root) + path


def install_program(root, path, module, function="main"):
    """Put a stand-in at its real path below root: the function of stand_ins.<module> is called with root, the program's name and its arguments."""
    place = Path(real(root, path))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(PROGRAM.format(python=sys.executable, tests=str(TESTS), module=module, function=function, root=os.fspath(root), name=place.name))
    place.chmod(0o755)


def put(root, path, content="", mode=0o644):
    """A file below root, with its directories."""
    place = Path(real(root, path))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
    place.chmod(mode)


def text(root, path):
    """What a file below root holds, "" when it is not there."""
    try:
        return Path(real(root, path)).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def switch(root, name, value="yes"):
    """Turn a failure on; value says of which object, where the failure needs one."""
    put(root, "/stand-in/" + name, value)


def switched(root, name):
    """The value of a switch, "" when it is off."""
    return text(root, "/stand-in/" + name)


def process(root, pid, *argv):
    """A process that this host seems to run."""
    put(root, "/.proc/%d/cmdline" % pid, "\0".join(argv) + "\0")


def tar_bytes(entries, compress=""):
    """A tar of {name: bytes or None for a directory}, in this order, as bytes; compress: "", "gz", "bz2"."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:" + compress, format=tarfile.GNU_FORMAT) as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.mtime, info.mode = int(time.time()), 0o644
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def tree_bytes(directory, compress="", prefix=".", without=()):
    """A tar of a real directory as `tar -C directory .` makes it; without: names directly below it."""

    def wanted(info):
        first = info.name[len(prefix) :].lstrip("/").split("/")[0]
        return None if first in without else info

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:" + compress, format=tarfile.GNU_FORMAT) as archive:
        archive.add(str(directory), prefix, filter=wanted)
    return out.getvalue()


def flipped(data, place=None):
    """The same with one bit changed, by default in the middle."""
    place = len(data) // 2 if place is None else place
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
