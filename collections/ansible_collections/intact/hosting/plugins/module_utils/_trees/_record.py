# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A manifest's records: one JSON object an entry, written without an encoder because there are millions of them. Pure.

Keys: path type mode uid gid size mtime (ns) digest target rdev acl default_acl capability xattr flags allocated hardlink changed error; those that say
nothing
are absent. digest: of all bytes of a file; "blocks:" before it when the file has holes of more than 1 GiB, whose zeros are not hashed.
"""

from __future__ import annotations

import hashlib
import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _attributes
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._trees import _kernel

ACL, DEFAULT_ACL, CAPABILITY = "system.posix_acl_access", "system.posix_acl_default", "security.capability"
SLACK = 1 << 16
_PLAIN = re.compile(rb"[ !#-\[\]-~]*\Z").match
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")
# A quote inside a path is escaped, so this is never part of a name.
OWNERS = re.compile(rb'"uid":(\d+),"gid":(\d+)')


def text(raw):
    """A name's bytes as the inside of a JSON string (bytes)."""
    if _PLAIN(raw):
        return raw
    return json.dumps(escape(raw), ensure_ascii=False)[1:-1].encode()


def raw_path(shown):
    """The bytes of a record's path (str)."""
    raw = shown.encode()
    return _ESCAPED.sub(lambda match: bytes((int(match.group(1), 16),)), raw) if b"\\" in raw else raw


def line(path, body):
    """A whole record (bytes, no newline) of a path's text() and a body."""
    return b'{"path":"%s",%s}' % (path, body)


def file(state, digest, extra=b""):
    """A regular file's body: everything but the path."""
    return b'"type":"file","mode":"%04o","uid":%d,"gid":%d,"size":%d,"mtime":%d,"digest":"%s"%s' % (
        state.st_mode & 0o7777,
        state.st_uid,
        state.st_gid,
        state.st_size,
        state.st_mtime_ns,
        digest.encode(),
        extra + allocated(state) if state.st_blocks * 512 + SLACK < state.st_size else extra,
    )


def allocated(state):
    """What a sparse file takes, as the end of a body."""
    return b',"allocated":%d' % (state.st_blocks * 512)


def other(kind, state, extra=b"", size=False):
    """The body of anything else. A link's mode says nothing."""
    mode = b"" if kind == "link" else b',"mode":"%04o"' % (state.st_mode & 0o7777)
    return b'"type":"%s"%s,"uid":%d,"gid":%d,"mtime":%d%s' % (kind.encode(), mode, state.st_uid, state.st_gid, state.st_mtime_ns, extra)


def tail(attributes, flags):
    """ACLs, capability, other attributes and flags as the end of a body. attributes: {name: bytes}; flags: number or None."""
    out = b""
    if attributes:
        shown = {}
        for name in sorted(attributes):
            value = attributes[name]
            if name == ACL:
                out += b',"acl":"%s"' % _attributes.acl(value).encode()
            elif name == DEFAULT_ACL:
                out += b',"default_acl":"%s"' % _attributes.acl(value).encode()
            elif name == CAPABILITY:
                out += b',"capability":"%s"' % _attributes.capability(value).encode()
            else:
                shown[escape(name)] = escape(value) if len(value) <= 64 else "sha256:" + hashlib.sha256(value).hexdigest()
        if shown:
            out += b',"xattr":' + json.dumps(shown, sort_keys=True, separators=(",", ":")).encode()
    if flags:
        out += b',"flags":"%s"' % _kernel.words(flags).encode()
    return out
