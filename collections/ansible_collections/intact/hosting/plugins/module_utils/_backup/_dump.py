# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What every engine hands out: a dump that is being written to a pipe, and the look at what it holds, both of one moment."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._command import SBIN
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

TAIL = 4096


def stream_path(name, engine):
    """Where a dump is in its snapshot: databases/mysql/shop.sql, databases/postgresql/other/app.sql, databases/accounts/mariadb.sql.

    name: the database's subject; quoted like a URL, so that no name is a path.
    """
    label, colon, database = name.partition(":")
    if not colon:
        return "databases/accounts/%s.sql" % urllib.parse.quote(label.rpartition(" ")[0], safe="")
    cluster = label.partition("(")[2].rstrip(")")
    folder = urllib.parse.quote(cluster, safe="") + "/" if cluster else ""
    ending = "" if engine == "sqlite" else ".sql"
    return "databases/%s/%s%s%s" % (engine, folder, urllib.parse.quote(unescape(database), safe=""), ending)


def environment(extra=None):
    """The environment of a database's client: nothing in it may send the client to another server than the one it is told."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "MYSQL", "MARIADB"))}
    keep.update(LC_ALL="C.UTF-8", LANG="C.UTF-8", PATH=os.environ.get("PATH", "") + ":" + SBIN, **(extra or {}))
    return keep


def start(argv, env=None, **more):
    """A Popen of a database's program, in environment() and a session of its own. One that is gone or damaged fails what it was for, not the whole run."""
    try:
        return subprocess.Popen([os.fsencode(a) for a in argv], env=environment(env), start_new_session=True, **more)
    except OSError as exc:
        raise IntactError("%s can't be started (%s): install its package again" % (argv[0], exc.strerror)) from exc


class Program:
    """A producer that is a program: the part of a Popen that a stream needs, with its error stream kept aside. descriptors: open files that it keeps."""

    def __init__(self, argv, env=None, descriptors=()):
        # an unnamed file: a program that complains a lot must not wait for somebody who reads it
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close())
        try:
            self._process = start(argv, env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors, pass_fds=descriptors)
        except IntactError:
            self._errors.close()
            raise
        self.stdout = self._process.stdout
        self.pid = self._process.pid

    @property
    def returncode(self):
        """Its exit status, None while it runs."""
        return self._process.returncode

    def poll(self):
        """Its exit status, None while it runs."""
        return self._process.poll()

    def wait(self, timeout=None):
        """Its exit status, when it has ended."""
        return self._process.wait(timeout)

    def kill(self):
        """End it at once."""
        self._process.kill()

    def said(self):
        """The end of what it wrote to its error stream."""
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), 4000, max(0, size - 4000)).decode("utf-8", "backslashreplace").strip()

    def close(self):
        """End it if it runs, and give its descriptors back."""
        if self.poll() is None:
            self.kill()
        self.wait()
        self.stdout.close()
        self._errors.close()


class Feed:
    """A producer that is no program: chunks (an iterable of bytes) written to a pipe by a thread."""

    def __init__(self, chunks):
        reading, self._writing = os.pipe()
        self.stdout = os.fdopen(reading, "rb", buffering=0)
        self.pid = os.getpid()
        self.returncode = None
        self._error = ""
        self._killed = threading.Event()
        self._thread = threading.Thread(target=self._write, args=(chunks,), daemon=True)
        self._thread.start()

    def _write(self, chunks):
        status = 1
        try:
            for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    if self._killed.is_set():
                        raise BrokenPipeError("it was ended")
                    view = view[os.write(self._writing, view[:65536]) :]
            status = 0
        except Exception as exc:
            self._error = str(exc) or type(exc).__name__
        finally:
            self.returncode = status
            os.close(self._writing)

    def poll(self):
        """0 when all was written, 1 when it failed, None while it writes."""
        return None if self._thread.is_alive() else self.returncode

    def wait(self, timeout=None):
        """As poll(), when it has ended."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise subprocess.TimeoutExpired("feed", timeout)
        return self.returncode

    def kill(self):
        """End it: what was not read yet is lost."""
        self._killed.set()

    def said(self):
        """Why it failed."""
        return self._error

    def close(self):
        """End it and give the pipe back."""
        self.kill()
        self.stdout.close()
        self._thread.join(10)


class Dump:
    """A dump under way. Engines give section() its meaning; ending is a line that stands only at a whole dump's end.

    volatile: subjects of tables that are not of the dump's moment. rules: columns that the dump can't carry exactly, filled by section(): in the
    shape of _digests.VOLATILE, [{table, columns, reason}]. They are left out of the digests here, and must be in the drill.
    """

    def __init__(self, name, path, process, ending, volatile=()):
        self.name = name
        self.path = path
        self.process = process
        self.ending = ending
        self.volatile = list(volatile)
        self.rules = []

    def section(self):
        """{subject: item} in the shape of the baseline's section databases, of the very moment that the dump holds."""
        raise NotImplementedError

    def complete(self, tail):
        """Whether the stream's last bytes hold the line that a whole dump ends with."""
        return any(line.startswith(self.ending) for line in tail[-TAIL:].split(b"\n")[-8:])

    def said(self):
        """What the producer said on its error stream."""
        return self.process.said()

    def close(self):
        """End the producer and let every lock go."""
        self.process.close()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


class Statements(Dump):
    """Accounts: a few statements that are known before they are streamed."""

    def __init__(self, name, path, text, ending, items):
        super().__init__(name, path, Feed([text]), ending)
        self.text = text
        self._items = items

    def section(self):
        """The accounts' items."""
        return self._items
