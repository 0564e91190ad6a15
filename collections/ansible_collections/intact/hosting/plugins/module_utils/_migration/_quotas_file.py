# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Limits out of quota files: vfsv0 and vfsv1 (a tree of blocks), and vfsold (an array by number). Pure.

Layouts: linux/fs/quota/quotaio_v1.h, quotaio_v2.h, quota_tree.c.
"""

from __future__ import annotations

import struct

MAGICS = {0xD9C01F11: "user", 0xD9C01927: "group", 0xD9C03F14: "project"}
BLOCK, FANOUT, ROOT = 1024, 256, 1
# a block of entries begins with: next and previous free block, number of entries, padding
HEAD = 16
# id, then as order says; sizes in KiB for limits, bytes for what is in use
V0, V1 = struct.Struct("<IIIIIIQQQ"), struct.Struct("<II8Q")
MOST = 1 << 22


def parse(data, wide=None):
    """{"format": vfsold | vfsv0 | vfsv1, "kind": user | group | project | "", "limits": {number: {blocks_soft blocks_hard files_soft files_hard used_kib}}}.

    Blocks are KiB, 0 is none; numbers without limits are left out. wide: for vfsold, whether the old system had 64 bits (None: told by the size).
    Raises ValueError that says what is wrong with the file.
    """
    magic, version = struct.unpack_from("<II", data) if len(data) >= 8 else (0, 0)
    if magic in MAGICS:
        if version not in (0, 1):
            raise ValueError("version %d of the quota file is unknown" % version)
        return {"format": "vfsv%d" % version, "kind": MAGICS[magic], "limits": _tree(data, V1 if version else V0, version)}
    return {"format": "vfsold", "kind": "", "limits": _array(data, wide)}


def _tree(data, entry, version):
    limits, seen, leaves = {}, set(), set()

    def block(number):
        raw = data[number * BLOCK : (number + 1) * BLOCK]
        if len(raw) < BLOCK:
            raise ValueError("block %d lies behind its end (%d bytes)" % (number, len(data)))
        return raw

    # four levels of 256 lead to 32 bits of number
    level = {ROOT}
    for depth in range(4):
        deeper = set()
        for number in sorted(level):
            if number in seen:
                raise ValueError("block %d is in its tree twice" % number)
            seen.add(number)
            deeper |= {ref for ref in struct.unpack("<%dI" % FANOUT, block(number)) if ref}
        if depth == 3:
            leaves = deeper
        level = deeper
    for number in sorted(leaves):
        raw = block(number)
        for at in range(HEAD, BLOCK - entry.size + 1, entry.size):
            fields = entry.unpack_from(raw, at)
            if not any(fields):
                continue
            if version:
                who, _pad, files_hard, files_soft, _files, hard, soft, used = fields[:8]
            else:
                who, files_hard, files_soft, _files, hard, soft, used = fields[:7]
            _keep(limits, who, soft, hard, files_soft, files_hard, used // 1024)
    return limits


def _array(data, wide):
    if not data:
        raise ValueError("the file is empty")
    if wide is None:
        if len(data) % 40 == 0 and len(data) % 32 == 0 or len(data) % 40 and len(data) % 32:
            raise ValueError("%d bytes are an array neither of 32 nor of 40 bytes alone: convertquota on a copy tells" % len(data))
        wide = len(data) % 40 == 0
    size = 40 if wide else 32
    if len(data) % size or len(data) // size > MOST:
        raise ValueError("%d bytes are no array of %d bytes" % (len(data), size))
    limits = {}
    # number 0 holds the grace times
    for who in range(1, len(data) // size):
        hard, soft, used, files_hard, files_soft = struct.unpack_from("<5I", data, who * size)
        _keep(limits, who, soft, hard, files_soft, files_hard, used)
    return limits


def _keep(limits, who, soft, hard, files_soft, files_hard, used):
    if soft or hard or files_soft or files_hard:
        limits[who] = {"blocks_soft": soft, "blocks_hard": hard, "files_soft": files_soft, "files_hard": files_hard, "used_kib": used}
