# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Python 2 pickles of Mailman 2, read without running what they say: a closed table of names, in a process that may do nothing.

A pickle names functions and calls them. Here every name outside the table ends the reading, those inside become plain objects, and it all happens in a
forked process as nobody, without files, children or much memory, that can only tell data through a pipe.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import pickle
import resource
import select
import signal
import time

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NOBODY = 65534
MEMORY, CPU = 3 << 30, 60
# What 8-bit texts of Mailman 2 are in, by the list's language; what is not here is Latin-1.
CHARSETS = {
    "cs": "iso-8859-2", "hu": "iso-8859-2", "pl": "iso-8859-2", "ro": "iso-8859-2", "sl": "iso-8859-2", "hr": "iso-8859-2", "sr": "utf-8", "uk": "utf-8",
    "ru": "koi8-r", "ja": "euc-jp", "ko": "euc-kr", "lt": "iso-8859-13", "et": "iso-8859-15", "tr": "iso-8859-9", "el": "iso-8859-7", "he": "utf-8",
}  # fmt: skip

# The child can open no file, so it could not load these.
for _name in set(CHARSETS.values()):
    codecs.lookup(_name)


class Plain:
    """An instance of a class that is not here: its attributes, nothing of its behaviour."""

    def __new__(cls, *arguments):
        # a pickle may build an instance without calling __init__
        made = object.__new__(cls)
        made.held = {"arguments": list(arguments)} if arguments else {}
        return made

    def __setstate__(self, state):
        if isinstance(state, dict):
            self.held.update(state)
        else:
            self.held["state"] = state


def _reconstructor(cls, _base=object, _state=None):
    """What copy_reg calls for new-style classes: only for what is plain."""
    if cls is not Plain:
        raise pickle.UnpicklingError("it builds what is no Mailman object")
    return Plain()


_CLASSES = {
    "Mailman.Bouncer": ("_BounceInfo",),
    "Mailman.UserDesc": ("UserDesc",),
    "Mailman.Message": ("Message", "UserNotification", "OwnerNotification"),
    "email.Message": ("Message",),
    "email.message": ("Message",),
    "email.Header": ("Header",),
    "email.header": ("Header",),
    "email.Charset": ("Charset",),
    "email.charset": ("Charset",),
}
_TABLE = {
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
    ("sets", "Set"): set,
    ("__builtin__", "object"): object,
    ("copy_reg", "_reconstructor"): _reconstructor,
}
_TABLE.update(((module, name), Plain) for module, names in _CLASSES.items() for name in names)


class Reader(pickle.Unpickler):
    """Only what is in the table has a name."""

    def find_class(self, module, name):
        try:
            return _TABLE[(module, name)]
        except KeyError:
            raise pickle.UnpicklingError("it names %s.%s, which is none of Mailman 2's" % (module, name)) from None

    def persistent_load(self, pid):
        raise pickle.UnpicklingError("it refers to something outside itself")


def plain(value, charset, depth=0):
    """The value as JSON knows it; bytes become text: UTF-8, else the charset, else Latin-1."""
    if depth > 60:
        raise ValueError("it is nested too deeply")
    if isinstance(value, bytes):
        return text_of(value, charset)
    if isinstance(value, dict):
        return {_key(plain(k, charset, depth + 1)): plain(v, charset, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v, charset, depth + 1) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(v, charset, depth + 1) for v in value), key=repr)
    if isinstance(value, Plain):
        return plain(value.held, charset, depth + 1)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError("it holds a %s" % type(value).__name__)


def _key(value):
    return value if isinstance(value, str) else json.dumps(value)


def text_of(value, charset="latin-1"):
    """Text of a Python 2 string."""
    for name in ("utf-8", charset):
        try:
            return value.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    return value.decode("latin-1")


def _read(data):
    value = Reader(io.BytesIO(data), encoding="bytes").load()
    if not isinstance(value, dict):
        raise ValueError("it holds a %s and no table" % type(value).__name__)
    language = value.get(b"preferred_language", value.get("preferred_language", b"en"))
    language = language.decode("ascii", "replace") if isinstance(language, bytes) else str(language)
    return plain(value, CHARSETS.get(language.split("_")[0], "latin-1"))


def _confined(write, data):
    """The child: everything is given up first, then the pickle is read, and the process ends without running anything of ours."""
    answer = {"said": "the reader broke"}
    try:
        os.chdir("/")
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        for number in range(3, 4096):
            if number != write:
                try:
                    os.close(number)
                except OSError:
                    continue
        for what, limit in (
            (resource.RLIMIT_AS, MEMORY),
            (resource.RLIMIT_CPU, CPU),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NPROC, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(what, (limit, limit))
        # a socket or file that is opened needs a number: there is none
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        answer = {"data": _read(data)}
    except MemoryError:
        answer = {"said": "it needs too much memory"}
    except BaseException as exc:  # a damaged pickle raises what it likes; nobody above this would hear it
        answer = {"said": "%s" % exc or type(exc).__name__}
    try:
        out = memoryview(json.dumps(answer).encode("utf-8", "backslashreplace"))
        while out:
            out = out[os.write(write, out) :]
    finally:
        os._exit(0)


def read(data, what):
    """The dict in a pickle (bytes) as plain data. what: how it is named in an error. Raises IntactError when it is damaged, hostile or too large."""
    pipe = os.pipe()
    child = os.fork()
    if child == 0:
        _confined(pipe[1], data)
    os.close(pipe[1])
    parts, deadline = [], time.monotonic() + CPU * 2
    try:
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe[0]], [], [], left)[0]:
                raise IntactError("%s was not read within %d s" % (what, CPU * 2))
            part = os.read(pipe[0], 1 << 16)
            if not part:
                break
            parts.append(part)
    finally:
        os.close(pipe[0])
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(child, 0)
    try:
        answer = json.loads(b"".join(parts).decode("utf-8"))
    except ValueError:
        raise IntactError("%s can't be read: its reader was ended by a limit (%d MB, %d s)" % (what, MEMORY >> 20, CPU)) from None
    if "data" not in answer:
        raise IntactError("%s can't be read: %s" % (what, answer["said"]))
    return answer["data"]
