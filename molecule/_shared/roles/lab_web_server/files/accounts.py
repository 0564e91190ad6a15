# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twelve customers with homes on the data disk, shared groups, and what years of hosting leave behind."""

from __future__ import annotations

import grp
import os
import pwd

import lab

# name, uid, shell, comment; odd but legal names on purpose
CUSTOMERS = (
    ("hilltop", 2001, "/bin/bash", "Hilltop Bakery"),
    ("northwind", 2002, "/bin/bash", "Northwind Magazine"),
    ("harbour", 2003, "/bin/bash", "Harbour Sailing Club"),
    ("j.doe", 2004, "/bin/bash", "Jane Doe"),
    ("web2000", 2005, "/usr/sbin/nologin", "Web 2000 Ltd, FTP only"),
    ("Agnes.M", 2006, "/bin/bash", "Agnes M., since 1999"),
    ("garden-allotment-association-908", 2007, "/bin/bash", "32 letters"),
    ("2fast4u", 2008, "/bin/sh", "Scooter rental"),
    ("carol", 2009, "/bin/bash", "Carol, reads mail in an mbox"),
    ("oldpaul", 2010, "/bin/bash", "Paul, reads mail in an mbox"),
    ("open-guest", 2011, "/bin/bash", "Has no password at all"),
    ("former_client", 2012, "/bin/bash", "Contract ended, locked"),
)
# group, gid, members
SHARED = (
    ("sftp-only", 2100, ("web2000", "2fast4u")),
    ("harbour-crew", 2101, ("harbour", "carol", "j.doe")),
    ("Web_Admins", 2102, ("hilltop", "northwind")),
)
ORPHAN = 4242


def password(name: str) -> str:
    """Hash of the lab's well-known password; the salt is fixed so that a second seeding gives the same line."""
    return lab.run("openssl", "passwd", "-6", "-salt", "labseed00", f"lab-{name}").strip()


def exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def account(name: str, uid: int, shell: str, comment: str) -> None:
    if exists(name):
        return
    lab.run("groupadd", "--gid", str(uid), name, check=False)
    if name not in {g.gr_name for g in grp.getgrall()}:
        # groupadd knows no --badname: the odd names go in by hand, as an administrator once did.
        with open("/etc/group", "a", encoding="utf-8") as out:
            out.write(f"{name}:x:{uid}:\n")
        lab.run("grpconv")
    hashed = password(name)
    lab.run("useradd", "--badname", "--create-home", "--uid", str(uid), "--gid", str(uid), "--shell", shell) if False else lab.run(
        "useradd",
        "--badname",
        "--create-home",
        "--uid",
        str(uid),
        "--gid",
        str(uid),
        "--shell",
        shell,
        "--comment",
        comment.replace(",", ";"),
        "--password",
        hashed,
        name,
    )
    lab.changed(f"account {name}")


def groups() -> None:
    for name, gid, members in SHARED:
        known = {g.gr_name: g for g in grp.getgrall()}
        if name not in known:
            lab.run("groupadd", "--gid", str(gid), name, check=False)
            if name not in {g.gr_name for g in grp.getgrall()}:
                with open("/etc/group", "a", encoding="utf-8") as out:
                    out.write(f"{name}:x:{gid}:\n")
                lab.run("grpconv")
            lab.changed(f"group {name}")
        for member in members:
            if member not in grp.getgrnam(name).gr_mem:
                lab.run("gpasswd", "-a", member, name)
                lab.changed(f"{member} in {name}")


def special_states() -> None:
    with open("/etc/shadow", encoding="utf-8") as lines:
        shadow = dict(line.split(":")[:2] for line in lines)
    if shadow["open-guest"]:
        lab.run("passwd", "-d", "open-guest")
        lab.changed("open-guest has no password")
    if not shadow["former_client"].startswith("!"):
        lab.run("usermod", "-L", "former_client")
        lab.changed("former_client locked")
    # sshd must not let a passwordless account in: Debian's default (PermitEmptyPasswords no) is kept.


def homes() -> None:
    for name, uid, _shell, _comment in CUSTOMERS:
        home = f"/home/{name}"
        owner = f"{uid}:{uid}"
        if os.stat(home).st_mode & 0o7777 != 0o751:
            os.chmod(home, 0o751)
            lab.changed(f"mode of {home}")
        lab.folder(f"{home}/.ssh", 0o700, owner)
        lab.put(f"{home}/.ssh/authorized_keys", f"# no key of {name} yet\n", 0o600, owner, lab.EPOCH)
        lab.put(f"{home}/notes.txt", f"Notes of {name}\nContract 20{uid % 100:02d}\n", 0o640, owner, lab.EPOCH)
    lab.folder("/home/shared", 0o755)
    lab.folder("/home/shared/crew", 0o2770, "2003:2101")
    lab.put("/home/shared/crew/rota.txt", "Mon Anna\nTue Jane\n", 0o660, "2003:2101", lab.EPOCH)
    # The account was deleted, its files were not.
    lab.folder("/home/formerly-kim", 0o700, f"{ORPHAN}:{ORPHAN}")
    for number in range(5):
        path = f"/home/formerly-kim/letter-{number}.txt"
        lab.put(path, f"Letter {number}\n", 0o600, f"{ORPHAN}:{ORPHAN}", lab.EPOCH)


def main() -> None:
    for customer in CUSTOMERS:
        account(*customer)
    groups()
    special_states()
    homes()
    lab.put("/etc/sudoers.d/hosting", (lab.TREE / "etc/sudoers.d/hosting").read_bytes(), 0o440)
    lab.run("visudo", "-cq")


if __name__ == "__main__":
    main()
