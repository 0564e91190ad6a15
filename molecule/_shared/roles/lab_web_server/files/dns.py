# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three zones; northwind.test is signed by BIND with a key whose DS is long in the parent."""

from __future__ import annotations

import glob
import os

import lab

ZONES = ("hilltop.test", "northwind.test", "harbour.test")
KEYS = "/var/lib/bind/keys"


def key() -> None:
    """A key that every state machine of BIND holds for settled: a fresh one would change the zone for days."""
    lab.folder(KEYS, 0o750, "bind:bind")
    if glob.glob(f"{KEYS}/Knorthwind.test.*.key"):
        return
    argv = ["dnssec-keygen", "-q", "-K", KEYS, "-k", "hosting", "-l", "/etc/bind/named.conf.local", "northwind.test"]
    name = lab.run(*argv).split()[0]
    path = f"{KEYS}/{name}"
    past = "20240302080000"
    states = ["-g", "OMNIPRESENT"]
    for option in ("-k", "-z", "-r", "-d"):
        states += [option, "OMNIPRESENT", past]
    lab.run("dnssec-settime", "-s", "-P", past, "-A", past, "-P", "sync", past, *states, path)
    for file in glob.glob(path + ".*"):
        os.chown(file, *lab.ids("bind:bind"))
    lab.changed(f"signing key {name}")


def serial(zone: str) -> str:
    return lab.run("dig", "+short", "+norecurse", "@127.0.0.1", zone, "SOA", check=False)


def main() -> None:
    fresh = False
    for zone in ZONES:
        fresh |= lab.place(f"var/lib/bind/{zone}.zone", 0o644, "bind:bind")
    fresh |= lab.place("etc/bind/named.conf.options", 0o644, "root:bind")
    fresh |= lab.place("etc/bind/named.conf.local", 0o644, "root:bind")
    key()
    lab.run("named-checkconf", "-z")
    lab.service("named.service", restart=fresh)
    for zone in ZONES:
        lab.wait(f"an answer for {zone}", lambda zone=zone: serial(zone).strip())
    lab.wait("signatures", lambda: "RRSIG" in lab.run("dig", "+dnssec", "@127.0.0.1", "northwind.test", "SOA", check=False))


if __name__ == "__main__":
    main()
