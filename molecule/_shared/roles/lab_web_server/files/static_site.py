# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bakery's web site: 2,000 files and every kind of file that copies and upgrades are known to spoil."""

from __future__ import annotations

import os
import random
import stat

import lab

DOCROOT = b"/home/hilltop/www"
FOLDERS = 40
PER_FOLDER = 48
OWNER = (2001, 2001)


def own(path: bytes) -> None:
    os.lchown(path, *OWNER)
    os.utime(path, (lab.EPOCH, lab.EPOCH), follow_symlinks=False)


def write(path: bytes, data: bytes, mode: int = 0o644) -> None:
    with open(path, "wb") as out:
        out.write(data)
    os.chmod(path, mode)
    own(path)


def pages() -> None:
    rng = random.Random(1908)
    write(DOCROOT + b"/index.html", b"<!DOCTYPE html><title>Hilltop Bakery</title><h1>Hilltop Bakery</h1><p>Bread since 1908.</p>\n")
    write(DOCROOT + b"/menu.html", b"<!DOCTYPE html><title>Menu</title><ul><li>Rye<li>Croissant</ul>\n")
    for number in range(FOLDERS):
        folder = DOCROOT + b"/gallery-%02d" % number
        os.makedirs(folder, exist_ok=True)
        for page in range(PER_FOLDER):
            if page % 6 == 5:
                write(folder + b"/picture-%03d.bin" % page, rng.randbytes(rng.randint(100, 9000)))
            else:
                title = b"Cake %d of gallery %d" % (page, number)
                write(folder + b"/page-%03d.html" % page, b"<!DOCTYPE html><title>%s</title><p>%s\n" % (title, title * 20))
        own(folder)


def odd_names() -> None:
    folder = DOCROOT + b"/odd"
    os.makedirs(folder, exist_ok=True)
    names = (b"new\nline.txt", b"latin1-\xe4\xf6\xfc.txt", b"shift-jis-\x83\x65\x83\x58\x83\x67.txt", b" leading space", b"trailing space ")
    names += (b"-dash", b"quo\"te'.txt", b"back\\slash", b"tab\there", b"utf8-\xc3\xa9\xe9\x8d\x8b.txt", b"nfd-e\xcc\x81.txt", b"star*?[x].txt")
    names += (b"percent%20.txt", b"$HOME.txt", b"n" * 250, b"control-\x01\x1b.txt")
    for number, name in enumerate(names):
        write(folder + b"/" + name, b"odd name %d\n" % number)
    own(folder)


def links() -> None:
    folder = DOCROOT + b"/links"
    os.makedirs(folder, exist_ok=True)
    for number in range(20):
        first = folder + b"/original-%02d.html" % number
        write(first, b"shared content %d\n" % number * 50)
        for copy in range(1 + number % 3):
            os.link(first, folder + b"/linked-%02d-%d.html" % (number, copy))
    # one file known under two folders
    os.link(DOCROOT + b"/gallery-00/page-000.html", folder + b"/page-of-gallery.html")
    for name, target in ((b"current", b"../gallery-07"), (b"dangling", b"/home/hilltop/moved-away"), (b"up", b"../index.html")):
        os.symlink(target, folder + b"/" + name)
        own(folder + b"/" + name)
    own(folder)


def special_files() -> None:
    folder = DOCROOT + b"/special"
    os.makedirs(folder + b"/empty-folder", exist_ok=True)
    sparse = folder + b"/sparse.img"
    with open(sparse, "wb") as out:
        for offset in (0, 10 << 20, 63 << 20):
            out.seek(offset)
            out.write(b"block at %d" % offset)
        out.truncate(64 << 20)
    own(sparse)
    write(folder + b"/empty", b"")
    write(folder + b"/group-only.html", b"for the group\n", 0o640)
    write(folder + b"/with-xattr.html", b"has an attribute\n")
    os.setxattr(folder + b"/with-xattr.html", b"user.bakery.origin", b"scan \xff 1999")
    os.makedirs(DOCROOT + b"/private", exist_ok=True)
    write(DOCROOT + b"/private/till.csv", b"day;sum\n1;100\n", 0o600)
    for path in (folder + b"/empty-folder", DOCROOT + b"/private", folder):
        own(path)


def acls() -> None:
    where = DOCROOT.decode()
    lab.run("setfacl", "-m", "u:northwind:rwx,g:Web_Admins:r-x", f"{where}/gallery-01")
    lab.run("setfacl", "-d", "-m", "u:northwind:rwx,g:Web_Admins:rwx,o::-", f"{where}/gallery-01")
    lab.run("setfacl", "-m", "u:j.doe:rw,g:harbour-crew:r", f"{where}/gallery-01/page-000.html", f"{where}/menu.html")
    lab.run("setfacl", "-m", "u:4242:r", f"{where}/gallery-02/page-001.html")


def outside_the_docroot() -> None:
    """A program with a capability, a set-gid folder, and files that nobody may change or shorten."""
    home = b"/home/hilltop"
    for name in (b"bin", b"logs", b"team"):
        os.makedirs(home + b"/" + name, exist_ok=True)
    with open("/bin/true", "rb") as program:
        write(home + b"/bin/port-check", program.read(), 0o755)
    lab.run("setcap", "cap_net_raw,cap_net_bind_service=ep", "/home/hilltop/bin/port-check")
    write(home + b"/logs/contract.txt", b"signed 1999\n", 0o444)
    write(home + b"/logs/audit.log", b"first entry\n")
    os.chmod(home + b"/team", 0o2775)
    for name in (b"bin", b"logs"):
        own(home + b"/" + name)
    os.lchown(home + b"/team", 2001, 2102)
    lab.run("chattr", "+i", "/home/hilltop/logs/contract.txt")
    lab.run("chattr", "+a", "/home/hilltop/logs/audit.log")


def main() -> None:
    if os.path.exists("/home/hilltop/logs/audit.log") and stat.S_ISDIR(os.stat(DOCROOT).st_mode):
        return
    os.makedirs(DOCROOT, exist_ok=True)
    pages()
    odd_names()
    links()
    special_files()
    own(DOCROOT)
    os.chmod(DOCROOT, 0o755)
    acls()
    outside_the_docroot()
    lab.changed("static site of www.hilltop.test")


if __name__ == "__main__":
    main()
