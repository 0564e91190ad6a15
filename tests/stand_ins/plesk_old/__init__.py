# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in of Plesk 7.5, 8 and 9: the server of 2008. It is not Plesk, and neither a Plesk nor a backup of one was at hand when it was made.

From the facts (1.8): psadump (7.5), pleskbackup all FILE (8), psarestore -f FILE -m MAP -s MAP, pleskrestore --create-map and --restore (kb 6164); the
stream: one MIME multipart, gzip or not, Dumped-Psa-Version, parts by file name (8) or by Content-ID with one text/xml (7), encodings, a second multipart in a
signed file, the closing boundary; elements and references of dump.xml as virtualmin-gpl reads them (8: cid and cid_*; 7: src="cid:..."); psa's columns
(App-Plesk-DB: 8.6); plain passwords.
Guessed: psadump's -f (by psarestore's); pleskbackup server of 9; every exit status and most wording; maillists, limits, pinfo; which encoding which part has;
what mysqld says when it is killed. Plesk 9's backup is the one of the stand-in for Obsidian.

Switches: those of stand_ins.plesk that are about the artefact (truncated, flipped, full, nothing, busy, space, warning, nonzero, stale, missing, altered,
member, inner, empty-volume, empty-dump, silent-dump, half-dump, bomb), kill-restore (a restore or a load of a dump kills the database half-way, once),
mysql-refused, and plain (no gzip), unsigned (one multipart only), open (the inner multipart is not closed), crlf.
"""

from __future__ import annotations

from stand_ins import plesk
from stand_ins.kit import install_program

PROGRAMS = {7: ("psadump", "psarestore"), 8: ("pleskbackup", "pleskrestore"), 9: ("pleskbackup", "pleskrestore")}


def install(root, seed=1, version="8.6.0", product="/usr/local/psa", server=None):
    """A host with an old Plesk, and its World. server, root: see stand_ins.plesk."""
    world = plesk.install(root, seed, version, product, server)
    for name in PROGRAMS[world.major]:
        install_program(root, "%s/bin/%s" % (product, name), "plesk_old.programs", name)
    for name in ("mysql", "mariadb") if root else ():
        install_program(root, "/usr/bin/" + name, "plesk_old.programs", "mysql")
    plesk.tools(root)
    return world
