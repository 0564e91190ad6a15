# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Files of a panel's configuration in an export: packed with their owners' names, and put back below the directories that they came from."""

from __future__ import annotations

import contextlib
import grp
import io
import os
import pwd
import shutil
import stat
import tarfile

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# What packages and editors leave beside a configuration file is none.
LEFTOVERS = (".ucf-dist", ".ucf-old", ".ucf-new", ".dpkg-dist", ".dpkg-old", ".dpkg-new", ".dpkg-bak", "~", ".swp")
_SMALL = 16 << 20


def below(view, path, leftovers=True):
    """Paths of a file, or of a directory with all that is below it but compiled Python, links not followed. leftovers: False leaves LEFTOVERS out."""
    status = view.lstat(path)
    # a compiled program tells its texts, keys too
    if status is None or path.endswith(("/__pycache__", ".pyc")) or (not leftovers and path.endswith(LEFTOVERS)):
        return []
    out = [path]
    if stat.S_ISDIR(status.st_mode):
        for name in view.listdir(path):
            out += below(view, path.rstrip("/") + "/" + name, leftovers)
    return out


def files(view, directory, leftovers=True):
    """{path relative to the directory: bytes} of the plain files below it."""
    out = {}
    for path in below(view, directory, leftovers):
        if _plain(view.lstat(path)):
            out[path[len(directory.rstrip("/")) + 1 :]] = view.read(path) or b""
    return out


def size(view, *paths):
    """Bytes of all plain files there."""
    found = [view.lstat(p) for path in paths for p in below(view, path)]
    return sum(status.st_size for status in found if _plain(status))


def _plain(status):
    """Whether it is a plain file; None is what went since it was listed, as messages do."""
    return status is not None and stat.S_ISREG(status.st_mode)


def pack(view, paths, target):
    """Write a tar (0600) of these paths, whole names without the first slash; with a file comes its directory, for its owner and mode. What is not there is
    left out; sockets and devices are too."""
    parents = sorted({os.path.dirname(path) for path in paths if _plain(view.lstat(path))} - set(paths))
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out, tarfile.open(fileobj=out, mode="w") as archive:
        for path in parents:
            _packed(view, archive, path)
        for path in paths:
            for entry in below(view, path):
                _packed(view, archive, entry)


def _packed(view, archive, path):
    status = view.lstat(path)
    if status is None:
        return  # it went since it was listed
    info = tarfile.TarInfo(os.fsdecode(path).lstrip("/"))
    info.mode, info.uid, info.gid, info.mtime = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, int(status.st_mtime)
    info.uname, info.gname = view.account(status.st_uid) or "", view.group(status.st_gid) or ""
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, view.readlink(path)
        archive.addfile(info)
    elif stat.S_ISREG(status.st_mode) and status.st_size <= _SMALL:
        data = view.read(path)
        if data is not None:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    elif stat.S_ISREG(status.st_mode):
        real = view.place(path, follow=False) if hasattr(view, "place") else path
        try:
            fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        with os.fdopen(fd, "rb") as handle:
            info.size = os.fstat(handle.fileno()).st_size
            archive.addfile(info, handle)


def held(opened, name):
    """{path without the first slash: bytes} of what a tar in an export holds."""
    return opened.contents(name, keep=lambda _path, _size: True, enter=lambda _path: False).kept


def unpack(path, roots, leave=(), over=True):
    """Put a tar's files back; only what is below these directories, and nothing of `leave`. Returns their paths. Owners are found by name.

    over: False leaves what is there as it is.
    """
    done = []
    with tarfile.open(path) as archive:
        for info in archive:
            target = "/" + info.name
            root = next((r for r in roots if target == r or target.startswith(r.rstrip("/") + "/")), None)
            if ".." in info.name.split("/") or root is None:
                raise IntactError("the export holds %s, which is below none of %s" % (target, ", ".join(roots)))
            if target in leave or (not over and os.path.lexists(target)):
                continue
            _reach(os.path.dirname(target), root)
            if info.isdir():
                if os.path.islink(target) or not os.path.isdir(target):
                    _away(target)
                    os.mkdir(target, 0o700)
            elif info.issym():
                _away(target)
                os.symlink(info.linkname, target)
            elif info.isreg():
                _written(archive.extractfile(info), target)
            else:
                continue
            _owned(info, target)
            done.append(target)
    return done


def _reach(directory, root):
    """The directory is there, and no link that the panel's user may have put in the way leads out of the root."""
    if not os.path.isdir(directory):
        os.makedirs(directory, 0o755)
    if directory.startswith(root) and os.path.realpath(directory) != os.path.realpath(root) + directory[len(root) :]:
        raise IntactError("%s is reached through a link: nothing is written there" % directory)


def _away(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _written(source, target):
    if os.path.isdir(target) and not os.path.islink(target):
        raise IntactError("%s is a directory here and a file in the export" % target)
    fresh = target + ".intact"
    _away(fresh)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        for block in iter(lambda: source.read(1 << 20), b""):
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    os.rename(fresh, target)


def _owned(info, target):
    try:
        user = pwd.getpwnam(info.uname).pw_uid
    except KeyError:
        user = os.geteuid()
    try:
        group = grp.getgrnam(info.gname).gr_gid
    except KeyError:
        group = os.getegid()
    os.lchown(target, user, group)
    if not info.issym():
        os.chmod(target, info.mode & 0o7777)


def clear(directory):
    """Empty a directory, which stays; nothing behind a link is touched."""
    if os.path.isdir(directory) and not os.path.islink(directory):
        for name in os.listdir(directory):
            path = os.path.join(directory, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)


def rewrite(path, data):
    """Another text in a configuration file that is there; its owner and mode stay."""
    status = os.stat(path)
    fresh = path + ".intact"
    _away(fresh)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(data)
        os.fchown(out.fileno(), status.st_uid, status.st_gid)
        os.fchmod(out.fileno(), status.st_mode & 0o7777)
        out.flush()
        os.fsync(out.fileno())
    os.rename(fresh, path)
