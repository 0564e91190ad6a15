# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What extended attributes say, as text: ACLs and file capabilities (formats: linux/posix_acl_xattr.h, linux/capability.h). Pure."""

from __future__ import annotations

import struct

TAGS = {0x01: "user", 0x02: "user", 0x04: "group", 0x08: "group", 0x10: "mask", 0x20: "other"}
NAMED = (0x02, 0x08)

# Index is the capability's number in linux/capability.h.
CAPABILITIES = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast "
    "net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice "
    "sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm "
    "block_suspend audit_read perfmon bpf checkpoint_restore"
).split()


def acl(raw):
    """Text like "user::rwx,user:1001:r-x,mask::r-x" from system.posix_acl_access or _default; ids stay numbers.

    A value that is not version 2 comes back as "unreadable:" and its hex digits.
    """
    if len(raw) < 4 or (len(raw) - 4) % 8 or struct.unpack_from("<I", raw)[0] != 2:
        return "unreadable:" + raw.hex()
    entries = []
    for offset in range(4, len(raw), 8):
        tag, bits, number = struct.unpack_from("<HHI", raw, offset)
        rights = "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        entries.append("%s:%s:%s" % (TAGS.get(tag, "tag%d" % tag), number if tag in NAMED else "", rights))
    return ",".join(entries)


def capability(raw):
    """Text like "cap_net_bind_service,cap_net_raw=ep" from security.capability (revisions 1 to 3)."""
    if len(raw) < 4:
        return "unreadable:" + raw.hex()
    magic = struct.unpack_from("<I", raw)[0]
    words = {1: 1, 2: 2, 3: 2}.get(magic >> 24)
    if words is None or len(raw) < 4 + 8 * words:
        return "unreadable:" + raw.hex()
    permitted = inheritable = 0
    for word in range(words):
        low, high = struct.unpack_from("<II", raw, 4 + 8 * word)
        permitted |= low << (32 * word)
        inheritable |= high << (32 * word)
    effective = "e" if magic & 1 else ""
    groups = []
    for mask, flags in ((permitted & ~inheritable, effective + "p"), (permitted & inheritable, effective + "ip"), (inheritable & ~permitted, "i")):
        if mask:
            groups.append("%s=%s" % (",".join(_names(mask)), flags))
    root = ""
    if magic >> 24 == 3 and len(raw) >= 24:
        number = struct.unpack_from("<I", raw, 20)[0]
        root = " [rootid=%d]" % number if number else ""
    return (" ".join(groups) or "=") + root


def _names(mask):
    return ["cap_" + (CAPABILITIES[bit] if bit < len(CAPABILITIES) else str(bit)) for bit in range(64) if mask >> bit & 1]
