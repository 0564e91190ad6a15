#!/usr/bin/python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on this host texts are that nobody may see. Standard input: JSON {what it is: text}; standard output: JSON [[where, path, what it is]].

seek.py          look: in journals, logs, what the project keeps, temporary files, arguments of processes, and whatever anybody may read
seek.py plant    put the text of each name where it has to be found (names: PLACES), for a look at the look itself
seek.py remove   take these away again
"""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import time
import zlib

WITNESS = "/run/lab-witness"
ROOTS = ("/var/log", "/run/log", "/var/lib/intact", "/var/lib/intact-drills", "/tmp", "/var/tmp", "/dev/shm", "/root/.ansible")
# A checkpoint is the panel's database: nobody but root comes there, which closed() sees to.
CHECKPOINT = re.compile(r"/var/lib/intact/panel/restores/[^/]+/attempt-\d+(?=/|\Z)")
PLACES = {
    "log": "/var/log/lab-decoy.log",
    "packed log": "/var/log/lab-decoy.log.1.gz",
    "kept": "/var/lib/intact/panel/lab-decoy",
    "temporary": "/var/tmp/lab-decoy",
    "readable": "/etc/lab-decoy",
    "journal": "",
    "arguments": "",
}
NOBODY = 65534


def matches(data, texts):
    return [name for name, text in sorted(texts.items()) if text.encode() in data]


def among(paths, texts):
    """[path] of the files that hold one of the texts. Texts go to grep by its standard input: arguments are seen."""
    out = []
    for first in range(0, len(paths), 500):
        patterns = "\n".join(texts.values()).encode()
        done = subprocess.run(["grep", "-l", "-a", "-s", "-F", "-f", "-", "--", *paths[first : first + 500]], input=patterns, capture_output=True, check=False)
        out += os.fsdecode(done.stdout).splitlines()
    return out


def files(roots, left=lambda _path: False, since=0.0):
    out = []
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if not left(os.path.join(folder, name))]
            for name in names:
                path = os.path.join(folder, name)
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                # the journal is asked for, see below
                if stat.S_ISREG(status.st_mode) and status.st_ctime >= since and status.st_size and not name.endswith((".journal", ".journal~")):
                    out.append(path)
    return out


def looked(where, paths, texts):
    out = []
    for path in among([path for path in paths if not path.endswith(".gz")], texts):
        out += [[where, path, name] for name in matches(pathlib.Path(path).read_bytes(), texts)]
    for path in paths:
        if path.endswith(".gz"):
            try:
                data = gzip.decompress(pathlib.Path(path).read_bytes())
            except (OSError, EOFError, zlib.error):
                data = pathlib.Path(path).read_bytes()  # it only has the name
            out += [[where, path, name] for name in matches(data, texts)]
    return out


def journal(texts):
    done = subprocess.run(["journalctl", "--no-pager", "--all", "--output=export"], capture_output=True, check=True)
    # binary fields too; long ones are packed on the disk, where nobody would find a text
    return [["journal", "", name] for name in matches(done.stdout, texts)]


def closed():
    """Checkpoints that somebody else than root may enter."""
    out = []
    for folder, folders, _names in os.walk("/var/lib/intact/panel/restores"):
        for name in folders:
            path = os.path.join(folder, name)
            if CHECKPOINT.fullmatch(path) and (os.stat(path).st_mode & 0o077 or os.stat(path).st_uid):
                out.append(["checkpoint", path, "it is not root's alone"])
    return out


def everybodys(texts):
    """What anybody can read, of all that came since this container was made: this program again, as an account without any rights."""
    given = json.dumps(texts).encode()
    argv = [sys.executable, __file__, "everybody"]
    done = subprocess.run(argv, input=given, stdout=subprocess.PIPE, check=True, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
    return json.loads(done.stdout)


def plant(texts):
    for name, path in PLACES.items():
        if path:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if path.endswith(".gz"):
            with gzip.open(path, "wb") as handle:
                handle.write(texts[name].encode())
        elif path:
            pathlib.Path(path).write_text("a line\nand %s in it\n" % texts[name], encoding="utf-8")
        if path:
            os.chmod(path, 0o644 if name == "readable" else 0o600)
    subprocess.run(["logger", "--tag", "lab-decoy"], input=texts["journal"].encode(), check=True)
    subprocess.run(["sh", "-c", "sleep 0.5", texts["arguments"]], check=True)
    subprocess.run(["journalctl", "--sync"], check=False)
    time.sleep(0.2)


def main():
    texts, word = json.load(sys.stdin), sys.argv[1] if len(sys.argv) > 1 else ""
    if word == "plant":
        plant(texts)
    elif word == "remove":
        for path in filter(None, PLACES.values()):
            os.unlink(path)
    elif word == "everybody":
        since = os.lstat("/.dockerenv").st_ctime - 1
        found = files(["/"], lambda path: path in ("/proc", "/sys"), since)
        json.dump(looked("readable", [path for path in found if os.access(path, os.R_OK)], texts), sys.stdout)
    else:
        told = journal(texts) + closed()
        told += looked("file", files([root for root in ROOTS if os.path.isdir(root)], CHECKPOINT.fullmatch), texts)
        told += looked("arguments", [WITNESS], texts) + everybodys(texts)
        json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
