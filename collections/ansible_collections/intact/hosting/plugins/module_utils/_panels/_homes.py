# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Files below a home, which its customer may have replaced by links to anything: each component is opened without following one. And tars of small files."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tarfile

from ansible_collections.intact.hosting.plugins.module_utils._baseline._descriptors import open_directory, open_file
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

LARGEST, DEEPEST = 16 << 20, 32


def place(system, path, follow=True):
    """Where a path of the host lies really: elsewhere only on a mounted disk or in a restored tree. follow: whether its last component may be a link."""
    return system.place(path, follow) if hasattr(system, "place") else path


def _top(system, home):
    # where homes lie is the administrator's choice, and may be a link; what is in them is the customer's
    return open_directory(os.fsencode(system.realpath(home)), system.root)


def _below(system, home, relative):
    """Descriptor of a directory below a home, None when it is not there or a link is in the way."""
    fd = None
    try:
        fd = _top(system, home)
        for part in [p for p in relative.split("/") if p]:
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = deeper
        return fd
    except OSError:
        if fd is not None:
            os.close(fd)
        return None


def read(system, home, relative, limit=LARGEST):
    """Bytes of a plain file below a home; None when there is none, or when it is a link or more than `limit` bytes."""
    above, _slash, name = relative.rpartition("/")
    parent = _below(system, home, above)
    if parent is None:
        return None
    try:
        fd = open_file(name, parent)
    except OSError:
        return None
    finally:
        os.close(parent)
    with os.fdopen(fd, "rb") as handle:
        found = os.fstat(handle.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
            return None
        return handle.read(limit)


def names(system, home, relative):
    """Sorted names in a directory below a home; [] when there is none."""
    fd = _below(system, home, relative)
    if fd is None:
        return []
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def survey(system, home):
    """(bytes of the plain files below a home as far as they can be seen, the first names of root's files there)."""
    top = _below(system, home, "")
    total, of_root, waiting = 0, [], [] if top is None else [(top, "")]
    while waiting:
        fd, path = waiting.pop()
        try:
            for name in os.listdir(fd):
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
                if found.st_uid == 0 and len(of_root) < 3:
                    of_root.append(escape(path + name))
                if stat.S_ISDIR(found.st_mode):
                    waiting.append((os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd), path + name + "/"))
        except OSError:
            pass  # it went while it was looked at: this is an estimate
        finally:
            os.close(fd)
    return total, of_root


def pack(system, home, wanted, target, owners=None, groups=None):
    """Write a tar of what is below home/<each of wanted> to `target` (0600): plain files and directories. Returns sentences about what was left out.

    owners, groups: {number: name} as the host has them.
    """
    left = []
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as handle, tarfile.open(fileobj=handle, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in wanted:
            found = _below(system, home, name)
            if found is not None:
                _pack(archive, found, name, left, owners or {}, groups or {}, 0)
    return left


def _pack(archive, fd, path, left, owners, groups, depth):
    try:
        archive.addfile(_info(path, os.fstat(fd), owners, groups))
        for name in sorted(os.listdir(fd)):
            try:
                _pack_one(archive, fd, name, path + "/" + name, left, owners, groups, depth)
            except FileNotFoundError:
                pass  # it went while the directory was read
    finally:
        os.close(fd)


def _pack_one(archive, fd, name, path, left, owners, groups, depth):
    mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    try:
        if stat.S_ISDIR(mode) and depth < DEEPEST:
            deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            _pack(archive, deeper, path, left, owners, groups, depth + 1)
        elif stat.S_ISDIR(mode):
            left.append("%s lies too deep" % escape(path))
        elif stat.S_ISREG(mode):
            found, data = _whole(name, fd)
            if data is None:
                left.append("%s is no settings file: it is no plain one, or has more than %d MiB" % (escape(path), LARGEST >> 20))
                return
            info = _info(path, found, owners, groups)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    except FileNotFoundError:
        raise
    except OSError as exc:
        left.append("%s can't be read: %s" % (escape(path), exc.strerror))


def _whole(name, fd):
    """(what was opened, its bytes): of what was opened, as the name may mean another file by now; read whole, as one that shrinks must not break a tar."""
    with os.fdopen(open_file(name, fd), "rb") as handle:
        found = os.fstat(handle.fileno())
        data = handle.read(LARGEST + 1) if stat.S_ISREG(found.st_mode) else None
    return found, data if data is not None and len(data) <= LARGEST else None


def _info(path, found, owners, groups):
    info = tarfile.TarInfo(path)
    info.type = tarfile.DIRTYPE if stat.S_ISDIR(found.st_mode) else tarfile.REGTYPE
    info.size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    info.mode, info.mtime, info.uid, info.gid = stat.S_IMODE(found.st_mode), int(found.st_mtime), found.st_uid, found.st_gid
    info.uname, info.gname = owners.get(found.st_uid, ""), groups.get(found.st_gid, "")
    return info


def put_back(system, home, source, owner, groups=None):
    """Put the files of a tar that pack() wrote back below a home. Links in the way are not followed. Returns how many files were written.

    owner: (uid, gid) of the account; what belonged to another group than the account's gets it by name through groups: {name: number}.
    """
    count = 0
    top = _below(system, home, "")
    if top is None:
        raise IntactError("%s is not there: its account has to be restored first" % home, path=home)
    try:
        with tarfile.open(source, mode="r:") as archive:
            directories = {}
            for member in archive:
                parts = member.name.split("/")
                if [p for p in parts if p in ("", ".", "..")]:
                    continue
                if member.isdir():
                    directories[member.name] = member
                elif member.isfile():
                    _put(top, parts, member, archive.extractfile(member), directories, owner, groups or {})
                    count += 1
    except (tarfile.TarError, OSError) as exc:
        raise IntactError("not all files of %s could be put back: %s" % (os.path.basename(source), exc), path=home) from exc
    finally:
        os.close(top)
    return count


def _put(top, parts, member, content, directories, owner, groups):
    fd = os.dup(top)
    try:
        for number, part in enumerate(parts[:-1]):
            known = directories.get("/".join(parts[: number + 1]))
            try:
                os.mkdir(part, known.mode & 0o777 if known else 0o750, dir_fd=fd)
                os.chown(part, owner[0], groups.get(known.gname, owner[1]) if known else owner[1], dir_fd=fd, follow_symlinks=False)
            except FileExistsError:
                pass
            deeper = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            os.close(fd)
            fd = deeper
        fresh = ".intact-%d" % os.getpid()
        new = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=fd)
        try:
            with os.fdopen(new, "wb") as handle:
                shutil.copyfileobj(content, handle, 1 << 20)
                os.fchown(handle.fileno(), owner[0], groups.get(member.gname, owner[1]))
                # no set-id bits: what is in the tar was in a customer's hands
                os.fchmod(handle.fileno(), member.mode & 0o777)
            os.rename(fresh, parts[-1], src_dir_fd=fd, dst_dir_fd=fd)
        except BaseException:
            os.unlink(fresh, dir_fd=fd)
            raise
    finally:
        os.close(fd)


def free(system, path):
    """Bytes free for root where `path` is, or will be."""
    real = place(system, path)
    while not os.path.isdir(real):
        real = os.path.dirname(real)
    found = os.statvfs(real)
    return found.f_bavail * found.f_frsize


def kept_keys(view, paths, target):
    """Write key material into an export's directory `target`; the entries of its files."""
    files = []
    for path in paths:
        name = key_name(path)
        os.makedirs(os.path.join(target, "keys"), mode=0o700, exist_ok=True)
        write_atomic(os.path.join(target, name), view.read(path), 0o600)
        files.append({"name": name, "role": "key"})
    return files


def key_name(path):
    """What a key file is called in an export."""
    return "keys/" + path.strip("/").replace("/", ".")


def write_tar(path, held, compress=False):
    """A tar of {name: bytes, or the path of a file of ours, which is gone afterwards}, 0600."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as handle, tarfile.open(fileobj=handle, mode="w:gz" if compress else "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(held.items()):
            info = tarfile.TarInfo(name)
            info.mode = 0o600
            if isinstance(data, bytes):
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
                continue
            with open(data, "rb") as source:
                info.size = os.fstat(source.fileno()).st_size
                archive.addfile(info, source)
            os.unlink(data)
