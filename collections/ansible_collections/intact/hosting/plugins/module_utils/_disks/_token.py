# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What tells a disk from every other one, so that each later step can refuse another: SERIAL/TABLEHASH."""

from __future__ import annotations

import hashlib
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NO_SERIAL = "no-serial"
_UNSAFE = re.compile(r"[^A-Za-z0-9._:+-]")


def of(entry):
    """SERIAL/TABLEHASH of a whole disk's entry: its serial, else its WWN, else no-serial; digest of its table, else of what its content calls itself."""
    serial = _UNSAFE.sub("_", entry.get("serial") or entry.get("wwn") or "") or NO_SERIAL
    table = entry.get("table") or {}
    if table.get("type"):
        return "%s/%s" % (serial, table["hash"])
    names = sorted(_identity(entry))
    return "%s/%s" % (serial, digest(["content"] + names if names else ["empty"]))


def _identity(entry):
    """Names that mounting, replaying or assembling does not change."""
    signature, lvm, md, luks = (entry.get(key) or {} for key in ("signature", "lvm", "md", "luks"))
    if md:
        yield "md %s %s" % (md.get("uuid"), md.get("device_uuid") or md.get("number"))
    elif lvm:
        yield "pv %s" % lvm.get("pv_uuid")
    elif luks:
        yield "luks %s" % luks.get("uuid")
    elif signature.get("type"):
        yield "%s %s" % (signature["type"], signature.get("device_uuid") or signature.get("uuid") or "")


def digest(words):
    """16 hexadecimal digits of a list of texts: enough against accidents, short enough to be compared by eye."""
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def check(token, entry):
    """Raise IntactError unless the disk of this entry is the one that the token was given for.

    details: path, expected, seen, difference (serial: another disk; table: the same disk with another content; form: no token at all).
    """
    path, seen = entry.get("path", "the disk"), of(entry)
    if not re.match(r"[A-Za-z0-9._:+-]+/[0-9a-f]{16}\Z", str(token or "")):
        raise IntactError(
            "%r is no token of a disk, which looks like SERIAL/16 hexadecimal digits: take the one that block_device_info shows for %s" % (token, path),
            path=path,
            expected=str(token or ""),
            seen=seen,
            difference="form",
        )
    if token == seen:
        return
    (serial, table), (seen_serial, seen_table) = token.rsplit("/", 1), seen.rsplit("/", 1)
    details = {"path": path, "expected": token, "seen": seen}
    if serial != seen_serial:
        raise IntactError(
            "%s is another disk: expected serial %s, seen %s (%s). Look at the disks again with block_device_info and take the token of the right one"
            % (path, serial, seen_serial, _words(entry)),
            difference="serial",
            **details,
        )
    raise IntactError(
        "%s (%s) has another partition table or content than when it was looked at: expected %s, seen %s%s. Nothing was done; "
        "find out who changed it, and look again with block_device_info" % (path, _words(entry), table, seen_table, _anonymous(serial)),
        difference="table",
        **details,
    )


def _words(entry):
    size = entry.get("size")
    return ", ".join(word for word in (entry.get("model"), "%d bytes" % size if size else "") if word) or entry.get("kind", "disk")


def _anonymous(serial):
    return "; without a serial number it may as well be another disk" if serial == NO_SERIAL else ""
