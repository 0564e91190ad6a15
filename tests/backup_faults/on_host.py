#!/usr/bin/python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done on the lab's web1 itself: things to lose (names, archive) and faults (write, and what stands in mariadb-dump's place).

on_host.py names | archive DEVICE | write PATH
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time

NAMES = b"/home/shared/crew/names"
ARCHIVE = "/srv/archive"
REAL = "/usr/bin/mariadb-dump.real"
# While HOLD is there, a dump stops in its middle, and HOLDING tells of that; SLOW: this is all that the producer does.
HOLD, HOLDING, SLOW = ("/var/lib/intact-faults/" + name for name in ("hold", "holding", "slow"))


def names():
    """Files whose names few programs bear: newlines, bytes that are no UTF-8, and the longest there can be."""
    long = (b"the longest name \xe4\xf6\xfc\n" * 20)[:255]
    os.makedirs(NAMES + b"/sub\nfolder \xff", exist_ok=True)
    for name in (b"new\nline.txt", b"latin1 \xe4\xf6\xfc\xdf.txt", long, b"x" * 255, b"sub\nfolder \xff/\xfe\n"):
        with open(NAMES + b"/" + name, "wb") as handle:
            handle.write(b"content of " + name)


def archive(device):
    """A disk of its own with a few files, mounted. No journal: the disk must open when its end is gone."""
    options = ["-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard", device, "64M"]
    subprocess.run(["mkfs.ext4", "-q", "-F", *options], check=True)
    os.makedirs(ARCHIVE, exist_ok=True)
    subprocess.run(["mount", device, ARCHIVE], check=True)
    # the same content each time: the disk is replaced later, and its files come back
    for name, kib in [("scan-%d.tif" % number, 200) for number in range(6)] + [("ledger-2019.pdf", 3000)]:
        with open(os.path.join(ARCHIVE, name), "wb") as handle:
            handle.write(b"".join(hashlib.sha256(b"%s %d" % (name.encode(), n)).digest() * 32 for n in range(kib)))
    # written out by unmounting: the lab suppresses sync
    subprocess.run(["umount", ARCHIVE], check=True)
    subprocess.run(["mount", device, ARCHIVE], check=True)


def write(path):
    """A program that never stops writing into its large file."""
    with open(path, "wb", buffering=0) as handle:
        handle.write(os.urandom(24 << 20))
        print(os.getpid(), flush=True)
        while True:
            os.pwrite(handle.fileno(), os.urandom(16), int.from_bytes(os.urandom(4), "big") % (24 << 20))
            time.sleep(0.01)


def dump(arguments):
    """In the place of mariadb-dump: three databases, three ways to be a bad producer; or one that takes its time. All else is the real one's."""
    faults = {"hilltop_shop": held} if os.path.exists(SLOW) else {"harbour_club": killed, "northwind_wp": cut_off, "hilltop_shop": row_lost}
    fault = faults.get(arguments[-1])
    if fault is None:
        os.execv(REAL, [REAL] + arguments)
    with subprocess.Popen([REAL] + arguments, stdout=subprocess.PIPE) as real:
        fault(real)
        real.stdout.close()
    sys.exit(real.wait() if fault in (killed, held) else 0)


def pass_on(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def killed(real):
    """The server's administrator kills the dump's connection while a table is read: the rest waits in the server, since nobody takes it."""
    listing = "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = 'harbour_club' AND INFO LIKE 'SELECT /*!40001 SQL_NO_CACHE */%'"
    found = []
    # a small table is out of the server's hands before its rows are seen here: then it is one of the next
    while not found:
        block = real.stdout.read1(65536)
        assert block, "the dump was over before it could be killed"
        pass_on(block)
        found = subprocess.run(["mariadb", "-N", "-e", listing], check=True, capture_output=True, text=True).stdout.split()
    subprocess.run(["mariadb", "-e", "KILL %s" % found[0]], check=True)
    for block in iter(lambda: real.stdout.read(65536), b""):
        pass_on(block)


def cut_off(real):
    """Its last part is lost on the way and nobody says so."""
    data = real.stdout.read()
    pass_on(data[: len(data) * 6 // 10])


def row_lost(real):
    """One row of one table is not in it; as a dump it is whole."""
    data = real.stdout.read()
    less, count = re.subn(rb"(INSERT INTO `orders` VALUES\s*)\(1,[^\n]*\),\n", rb"\1", data, count=1)
    assert count == 1 and len(less) < len(data)
    pass_on(less)


def held(real):
    """Whatever happens in the middle of a backup has all the time it needs: every restic has begun, and waits for the rest."""
    pass_on(real.stdout.read(2000000))
    with open(HOLDING, "wb"):
        pass
    while os.path.exists(HOLD):
        time.sleep(0.05)
    os.unlink(HOLDING)
    for block in iter(lambda: real.stdout.read(65536), b""):
        pass_on(block)


if __name__ == "__main__":
    if os.path.basename(sys.argv[0]) == "mariadb-dump":
        dump(sys.argv[1:])
    else:
        {"names": names, "archive": archive, "write": write}[sys.argv[1]](*sys.argv[2:])
