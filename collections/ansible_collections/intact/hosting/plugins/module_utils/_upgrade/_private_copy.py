# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A copy of a program that goes on when the system's C library, its loader and all else it needs are replaced."""

from __future__ import annotations

import os
import re
import struct

from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

PT_INTERP = 3
# Databases that a login asks; their modules are opened by name, so that no list of libraries has them.
NSS = ("passwd", "group", "shadow", "initgroups")
# Opened by name when a thread ends.
LATE = ("libgcc_s.so.1",)
LIBRARY = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x[0-9a-f]+\)$")
LOADER = "loader.so"


def _header(data):
    """(offset of the program header that names the loader, its fields' format, their order) of an ELF file, or None without one."""
    if data[:4] != b"\x7fELF":
        return None
    order = "<" if data[5:6] == b"\x01" else ">"
    if data[4:5] == b"\x02":
        table, size, count = struct.unpack_from(order + "Q", data, 32)[0], *struct.unpack_from(order + "HH", data, 54)
        layout, offset, filesize = order + "IIQQQQ", 2, 5
    else:
        table, size, count = struct.unpack_from(order + "I", data, 28)[0], *struct.unpack_from(order + "HH", data, 42)
        layout, offset, filesize = order + "IIIII", 1, 4
    for number in range(count):
        fields = struct.unpack_from(layout, data, table + number * size)
        if fields[0] == PT_INTERP:
            return table + number * size, layout, fields, offset, filesize
    return None


def interpreter(data):
    """Path of the loader that an ELF program asks the kernel for, or None (static, a library, no ELF). Pure."""
    found = _header(data)
    if not found:
        return None
    _at, _layout, fields, offset, filesize = found
    return data[fields[offset] : fields[offset] + fields[filesize]].rstrip(b"\0").decode()


def with_interpreter(data, path):
    """The program's bytes, but asking for the loader at a path, of any length: the name is appended and its header points there. Pure."""
    found = _header(data)
    if not found:
        raise IntactError("this is no program that is linked dynamically")
    at, layout, fields, offset, filesize = found
    name = os.fsencode(path) + b"\0"
    changed = list(fields)
    changed[offset], changed[filesize] = len(data), len(name)
    out = bytearray(data + name)
    struct.pack_into(layout, out, at, *changed)
    return bytes(out)


def listed(text):
    """[(name, path)] of the libraries in what a loader's --list says; IntactError when one is not found. Pure."""
    out = []
    for line in text.splitlines():
        if line.rstrip().endswith("not found"):
            raise IntactError("a library is missing: %s" % line.strip())
        match = LIBRARY.match(line.rstrip())
        if match:
            out.append((os.path.basename(match.group(1) or match.group(2)), match.group(2)))
    return out


def services(text):
    """Names of the NSS modules that a login needs by an nsswitch.conf, in their order. Pure."""
    out = ["files"]
    for line in text.splitlines():
        database, _colon, rest = line.split("#")[0].partition(":")
        if database.strip() in NSS:
            out += [word for word in re.sub(r"\[[^]]*\]", " ", rest).split() if word not in out]
    return out


def environment(place):
    """Variables that make what is started find its libraries in the copy, and no configuration of another version."""
    return {"LD_LIBRARY_PATH": os.path.join(place, "lib"), "OPENSSL_CONF": "/dev/null"}


def make(run, place, programs, replace=()):
    """Copy programs with their loader and all libraries to place; returns how many files.

    run: as _host.Host.run. place: an empty directory, which later finds {name}, lib/ and lib/loader.so. programs: {name: path}.
    replace: [(bytes, bytes of that length)] for paths that are compiled in.
    """
    libraries = os.path.join(place, "lib")
    os.makedirs(libraries, mode=0o700, exist_ok=True)
    loader, needed = None, {}
    for name, path in programs.items():
        data = read_if_exists(path) or b""
        loader = loader or interpreter(data)
        if not interpreter(data):
            raise IntactError("%s is no program that is linked dynamically" % path)
        needed.update(listed(run([loader, "--list", path]).text))
        for old, new in replace:
            if len(old) != len(new):
                raise ValueError("a compiled-in path can only be replaced by one as long")
            data = data.replace(old, new)
        write_atomic(os.path.join(place, name), with_interpreter(data, os.path.join(libraries, LOADER)), 0o700)
    directory = os.path.dirname(next(path for name, path in needed.items() if name.startswith("libc.so")))
    late = ["libnss_%s.so.2" % word for word in services((read_if_exists("/etc/nsswitch.conf") or b"").decode("utf-8", "replace"))]
    for name in late + list(LATE):
        path = os.path.join(directory, name)
        # Since glibc 2.34 files and dns are in the C library itself.
        if os.path.exists(path):
            needed[name] = path
            for other, where in listed(run([loader, "--list", path]).text):
                needed.setdefault(other, where)
    for name, path in needed.items():
        write_atomic(os.path.join(libraries, name), read_if_exists(path), 0o700)
    write_atomic(os.path.join(libraries, LOADER), read_if_exists(loader), 0o700)
    fsync_directory(libraries)
    fsync_directory(place)
    return len(programs) + len(needed) + 1


def foreign(maps, place):
    """Files that a process runs code from and that are not of the copy, by its /proc/PID/maps. Pure."""
    out = []
    for line in maps.splitlines():
        parts = line.split(None, 5)
        if len(parts) == 6 and "x" in parts[1] and parts[5].startswith("/") and not parts[5].startswith(place.rstrip("/") + "/"):
            if parts[5] not in out:
                out.append(parts[5])
    return out
