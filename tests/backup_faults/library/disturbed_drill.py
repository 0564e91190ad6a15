# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill on whose restored tree eight single pieces of metadata are changed, between the restore and the look. For the scenario backup_faults alone."""

from __future__ import annotations

import os
import shutil
import stat
import struct

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._backup import _arguments, _drill, _metadata, _scratch
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

BLOCK = 1 << 20


def kept_times(change):
    """The change, with the times of file and directory as they were: they must not be what gives it away."""

    def changed(path):
        folder = os.path.dirname(path)
        before = [(place, os.lstat(place)) for place in (path, folder)]
        change(path)
        for place, state in before:
            os.utime(place, ns=(state.st_atime_ns, state.st_mtime_ns))

    return changed


def mode_bit(path):
    """Others may read it, or no more."""
    os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) ^ stat.S_IROTH)


def acl_entry(path):
    """One named user may write no more."""
    name = "system.posix_acl_access"
    raw = bytearray(os.getxattr(path, name))
    entries = [at for at in range(4, len(raw), 8) if struct.unpack_from("<H", raw, at)[0] == 0x02]
    assert entries, "no named user in the list of %s" % path
    raw[entries[0] + 2] ^= 0x02
    os.setxattr(path, name, bytes(raw))


def xattr(path):
    """One byte of the value of one attribute."""
    name = next(name for name in os.listxattr(path) if name.startswith("user."))
    value = os.getxattr(path, name)
    os.setxattr(path, name, bytes([value[0] ^ 1]) + value[1:])


def capability(path):
    """One of the capabilities that are permitted."""
    raw = bytearray(os.getxattr(path, "security.capability"))
    permitted = struct.unpack_from("<I", raw, 4)[0]
    struct.pack_into("<I", raw, 4, permitted & (permitted - 1))
    os.setxattr(path, "security.capability", bytes(raw))


def hard_link(path):
    """A copy with the same content and the same metadata instead of the link."""
    state = os.lstat(path)
    assert state.st_nlink > 1, path
    shutil.copy2(path, path + ".new")
    os.chown(path + ".new", state.st_uid, state.st_gid)
    os.rename(path + ".new", path)


def owner(path):
    """Another owner."""
    state = os.stat(path)
    os.chown(path, state.st_uid + 1, -1)


def sparse_hole(path):
    """The longest hole is written over with the zeros that were read from it."""
    with open(path, "r+b") as handle:
        size, holes, at = os.fstat(handle.fileno()).st_size, [], 0
        while at < size:
            start = os.lseek(handle.fileno(), at, os.SEEK_HOLE)
            if start >= size:
                break
            try:
                at = os.lseek(handle.fileno(), start, os.SEEK_DATA)
            except OSError:
                at = size
            holes.append((at - start, start))
        length, start = max(holes)
        assert len(holes) > 1, holes
        for position in range(start, start + length, BLOCK):
            os.pwrite(handle.fileno(), bytes(min(BLOCK, start + length - position)), position)
        os.fsync(handle.fileno())


def immutable_flag(path):
    """It can be changed again."""
    fd = os.open(path, os.O_RDONLY)
    try:
        assert _metadata.flags(fd) & _metadata.BITS["immutable"], path
        _metadata.set_flags(fd, [])
    finally:
        os.close(fd)


CHANGES = {change.__name__: change for change in (mode_bit, acl_entry, xattr, capability, hard_link, owner, sparse_hole, immutable_flag)}


def main():
    """A drill without a proof: its findings are what is asked for."""
    module = AnsibleModule(
        argument_spec=dict(
            _arguments.SPEC,
            repositories=dict(type="list", elements="dict", required=True),
            classes=dict(type="list", elements="str", required=True),
            scratch=dict(type="path", required=True),
            state=dict(type="dict", default={}),
            changes=dict(type="dict", required=True),
        )
    )
    params, done = module.params, []

    def disturb(_repository, _name, tree):
        for kind, path in params["changes"].items():
            kept_times(CHANGES[kind])(tree + path)
            done.append(kind)

    try:
        sources = {entry["name"]: _arguments.source(entry, params) for entry in params["repositories"]}
        with _scratch.Scratch(params["scratch"]) as scratch:
            drilled = _drill.Drill(sources, scratch, params["host"], disturb=disturb)
            repositories = drilled.run(params["classes"])
    except IntactError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=True, findings=[finding.as_dict() for finding in drilled.findings], repositories=repositories, done=done)


if __name__ == "__main__":
    main()
