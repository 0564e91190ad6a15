# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A disk's PostgreSQL opened cold: by the program of its own major only, on a private copy or an overlay, without its settings and without a network."""

from __future__ import annotations

import glob
import os
import posixpath
import re
import shutil
import signal
import stat
import subprocess

from ansible_collections.intact.hosting.plugins.module_utils._backup import postgresql
from ansible_collections.intact.hosting.plugins.module_utils._backup._throwaway import Confined, Server
from ansible_collections.intact.hosting.plugins.module_utils._backup._throwaway_postgresql import newest
from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql_options, _private_root
from ansible_collections.intact.hosting.plugins.module_utils._cold._mysql_copies import LARGEST_COPY, SPARE
from ansible_collections.intact.hosting.plugins.module_utils._command import Result, run
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

PORT = "5432"
THERE = "/intact-rescue"
PATIENCE = 7200
HERE = "/usr/lib/postgresql/%s/bin/postgres"
# {major} is with and without its dot
PROGRAMS = (
    "/usr/lib/postgresql/%s/bin/postgres",
    "/usr/pgsql-%s/bin/postgres",
    "/usr/bin/postgres",
    "/usr/local/pgsql/bin/postgres",
    "/opt/postgresql/%s/bin/postgres",
)
# nothing that the disk's own settings could start, load or call is read: these files are hidden from the server
HIDDEN = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf", "postmaster.pid", "postmaster.opts", "standby.signal", "recovery.conf")
SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0777",
    "autovacuum": "off",
    "logging_collector": "off",
    "shared_preload_libraries": "''",
    "archive_mode": "off",
    "max_connections": "20",
}
# must not be less than what the killed server had
AT_LEAST = ("max_connections", "max_prepared_transactions", "max_locks_per_transaction", "max_worker_processes", "max_wal_senders")
NAMES = {"max_prepared_transactions": "max_prepared_xacts", "max_locks_per_transaction": "max_locks_per_xact"}
LIBRARY = re.compile(r"could not access file|could not load library")


def locate(view, datadir=""):
    """{datadir, version, places: {}, programs: [path on the disk]} of a disk's cluster, or None. More than one is an error that names them."""
    found = [datadir] if datadir else []
    if not datadir:
        for path in view.glob("/etc/postgresql/*/*/postgresql.conf"):
            told = re.search(r"^\s*data_directory\s*=\s*'([^']+)'", view.text(path), re.MULTILINE)
            found += [told.group(1)] if told else []
        patterns = ("/var/lib/postgresql/*/*", "/var/lib/pgsql/data", "/var/lib/pgsql/*/data", "/usr/local/pgsql/data", "/var/lib/postgres/data")
        found += [path for pattern in patterns for path in view.glob(pattern)]
    clusters = sorted({posixpath.normpath(path) for path in found if view.exists(posixpath.join(path, "PG_VERSION"))})
    if not clusters:
        return None
    if len(clusters) > 1:
        raise IntactError("the disk has %d PostgreSQL clusters (%s): give the datadir of one" % (len(clusters), ", ".join(clusters)), clusters=clusters)
    version = view.text(posixpath.join(clusters[0], "PG_VERSION")).strip()
    if not re.match(r"\d+(\.\d+)?\Z", version):
        raise IntactError("%s/PG_VERSION says %r: that is no version" % (clusters[0], version[:20]), path=clusters[0])
    programs = [path % version if "%s" in path else path for path in PROGRAMS]
    return {"datadir": clusters[0], "version": version, "places": {}, "programs": [path for path in programs if view.exists(path)]}


def clusters(view):
    """[data directory] of all clusters on the disk."""
    try:
        found = locate(view)
    except IntactError as exc:
        return exc.details.get("clusters", [])
    return [found["datadir"]] if found else []


def program(view, found, how):
    """(the program that would open it, whether it is the disk's own)."""
    here = HERE % found["version"]
    if os.access(here, os.X_OK) and how != "disk":
        return here, False
    own = [path for path in found["programs"] if os.stat(view.place(path)).st_mode & 0o111]
    if own:
        return own[0], True
    have = sorted(path.split("/")[4] for path in glob.glob(HERE % "*"))
    raise IntactError(
        "%s is of PostgreSQL %s, which opens with its own major only; this host has %s and the disk no program of it: install postgresql-%s here"
        % (found["datadir"], found["version"], ", ".join(have) or "none", found["version"]),
        version=found["version"],
    )


class Cold(Server):
    """view: a Rooted on the disk. found: of locate(). directory: is made, and removed at the end. how: auto, copy, overlay or disk. said: what was done."""

    users = ("postgres", "nobody")

    def __init__(self, view, found, directory, how="auto", tell=lambda _line: None):
        self._view, self._found, self._how, self._tell = view, found, how, tell
        self.said, self.version, self.data = [], found["version"], ""
        self._source = view.place(found["datadir"])
        self._server, self.by_disk = program(view, found, how)
        super().__init__(directory)

    def _start(self):
        self.programs = newest()
        if not self.programs:
            raise IntactError("no PostgreSQL is installed on this host: its pg_dump is needed to read a disk's")
        self._run_place = os.path.join(self.sockets, "run")
        os.mkdir(self._run_place, 0o711)
        os.chmod(self._run_place, 0o711)
        self._user_there = (self._user.pw_uid, self._user.pw_gid)
        more, bare, socket = {}, False, self._run_place
        if self.by_disk:
            state = os.stat(self._source)
            self._user_there = (state.st_uid or 65534, state.st_gid or 65534)
            self.data = self._view.realpath(self._found["datadir"])
            overlay = self._overlay(os.fsdecode(self._view.root), self.data.lstrip("/"))
            more["preexec_fn"] = _private_root.enter(
                overlay, owner=self._user_there, places=[self.data], binds=[(self._run_place, THERE)], user=self._user_there
            )
            bare, socket = True, THERE
            self.said.append("%s was started with the disk as its /" % self._server)
        else:
            self.data, more = self._fresh()
        self._config(socket)
        argv = [self._server, "-D", self.data, "-c", "config_file=%s/server.conf" % socket]
        self._tell("starting %s" % self._server)
        os.chown(self._run_place, *self._user_there)
        try:
            self._spawn(argv, lambda: self.sql("template1", "SELECT 1;").rc == 0, seconds=PATIENCE, bare=bare, **more)
        except subprocess.SubprocessError as exc:
            raise IntactError("the disk can't be looked through at by an overlay on this host: open it on a copy") from exc

    def _overlay(self, lower, below):
        overlay = _private_root.Overlay(lower, self._directory("overlay"))
        os.chmod(os.path.dirname(overlay.upper), 0o711)
        folder = lower
        for part in [""] + (below.split("/") if below else []):
            folder = os.path.join(folder, part) if part else folder
            upper = os.path.join(overlay.upper, os.path.relpath(folder, lower))
            if part:
                os.mkdir(upper)
                state = os.stat(folder)
                os.chown(upper, state.st_uid, state.st_gid)
                os.chmod(upper, stat.S_IMODE(state.st_mode))
        for name in HIDDEN:
            if os.path.lexists(os.path.join(folder, name)):
                # how an overlay says that there is nothing
                os.mknod(os.path.join(upper, name), stat.S_IFCHR, os.makedev(0, 0))
        return overlay

    def _fresh(self):
        """(data directory, what _spawn() wants besides) of a copy or an overlay."""
        links = [os.path.join(folder, name) for folder, folders, names in os.walk(self._source) for name in folders + names]
        links = [path for path in links if os.path.islink(path)]
        needed = _mysql_options.size(self._source) + sum(_mysql_options.size(self._beyond(path)) for path in links)
        state = os.statvfs(self.directory)
        free = state.f_bavail * state.f_frsize
        roomy = needed * SPARE < free and needed < LARGEST_COPY
        if self._how == "overlay" or (self._how == "auto" and not roomy and not links):
            if links:
                raise IntactError("%s has links (%s), which would lead to this host: open it on a copy" % (self._found["datadir"], os.path.basename(links[0])))
            overlay = self._overlay(self._source, "")
            os.chmod(overlay.upper, 0o700)
            self._tell("looking through an overlay at %s" % self._found["datadir"])
            return overlay.merged, {"preexec_fn": _private_root.enter(overlay, owner=self._user_there, places=[""])}
        if needed * SPARE >= free:
            raise IntactError("%s has room for %d MB, and the disk's database takes %d MB" % (self.directory, free >> 20, needed >> 20), space=True)
        self._tell("copying %d MB of %s" % (needed >> 20, self._found["datadir"]))
        data = os.path.join(self.directory, "data")
        self._copy(self._source, data)
        for number, path in enumerate(links):
            inside = os.path.join(data, os.path.relpath(path, self._source))
            os.unlink(inside)
            if not os.path.isdir(self._beyond(path)):
                self.said.append("%s is a link that leads nowhere on the disk" % os.path.relpath(path, os.fsdecode(self._view.root)))
                continue
            # tablespaces are reached by links: these lead to copies of ours now
            place = os.path.join(self.directory, "place-%d" % number)
            self._copy(self._beyond(path), place)
            os.symlink(place, inside)
        for name in HIDDEN:
            if os.path.lexists(os.path.join(data, name)):
                os.unlink(os.path.join(data, name))
        return data, {}

    def _beyond(self, path):
        return self._view.place("/" + os.path.relpath(path, os.fsdecode(self._view.root)))

    def _copy(self, source, target):
        done = run(["cp", "-a", "--reflink=auto", "--no-target-directory", "--", source, target], timeout=86400, check=False)
        unread = [line.split(": ", 1)[-1] for line in done.error.splitlines() if line]
        if not os.path.isdir(target) or "No space left" in done.error:
            raise IntactError("%s could not be copied: %s" % (source, unread[0] if unread else "status %d" % done.rc))
        self.said += ["could not be read from the disk: %s" % line for line in unread[:20]]
        for _folder, folders, names, at in os.fwalk(target):
            for name in [".", *folders, *names]:
                os.chown(name, *self._user_there, dir_fd=at, follow_symlinks=False)
        os.chmod(target, 0o700)

    def _number(self):
        return tuple(int(part) for part in (self.version + ".0").split(".")[:2])

    def _config(self, socket):
        """Our own settings beside the socket; the sizes that a crash's log demands are of the disk's control file."""
        told = dict(SETTINGS, port=PORT, unix_socket_directories="'%s'" % socket, hba_file="'%s/hba.conf'" % socket, ident_file="'%s/ident.conf'" % socket)
        if self._number() < (9, 3):
            told["unix_socket_directory"] = told.pop("unix_socket_directories")
        if self.by_disk and self._number() >= (9, 4):
            # there is no /dev/shm where it is
            told["dynamic_shared_memory_type"] = "mmap"
        control = {}
        reader = os.path.join(os.path.dirname(HERE % self.version), "pg_controldata")
        if os.access(reader, os.X_OK):
            lines = run([reader, "-D", self._source], check=False).text.splitlines()
            control = {line.split(" setting:")[0]: line.split(":")[1].strip() for line in lines if " setting:" in line}
        for name in AT_LEAST:
            value = control.get(NAMES.get(name, name), "")
            if value.isdigit():
                told[name] = str(max(int(value), int(SETTINGS.get(name, "0"))))
        for name, text in (
            ("server.conf", "".join("%s = %s\n" % pair for pair in sorted(told.items()))),
            ("hba.conf", "local all all trust\n"),
            ("ident.conf", ""),
        ):
            path = os.path.join(self._run_place, name)
            with open(path, "x") as handle:
                handle.write(text)
            os.chmod(path, 0o600)
            os.chown(path, *self._user_there)

    def _stop_signal(self):
        return signal.SIGQUIT

    def close(self):
        """End the server and remove everything."""
        self._end(60)
        shutil.rmtree(self.directory, ignore_errors=True)
        super().close()

    def argv(self, name, *words):
        """Arguments of one of this host's client programs that reach this server."""
        return [os.path.join(self.programs, name), "-h", self._run_place, "-p", PORT, "-U", self.admin, "--no-password", *words]

    admin = "postgres"

    def sql(self, database, text, timeout=86400):
        """A Result of a script."""
        argv = self.argv("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", postgresql.connection(database))
        return self._client(argv, stdin=text.encode("utf-8", "surrogateescape"), timeout=timeout)[0]

    def prove(self):
        """Raise unless the server that answers has the disk's copy as its data, our socket and no network."""
        settings = ("data_directory", "listen_addresses", "shared_preload_libraries")
        told = self.sql("template1", "\n".join("SHOW %s;" % name for name in settings)).text.split("\n")
        if len(told) < 4 or os.path.normpath(told[0]) != os.path.normpath(self.data) or told[1] or told[2]:
            raise IntactError("the server at %s is not the one that was started on the disk's copy: it says %s" % (self._run_place, told))

    def system(self):
        """A System for the baseline's questions, which reach this server and no other."""

        def answer(argv, stdin):
            if "psql" not in argv:
                return Result(tuple(argv), 1, b"", b"it is not asked here")
            words = argv[argv.index("psql") + 1 :]
            place = words.index("-p")
            return self._client(self.argv("psql", *(words[:place] + words[place + 2 :])), stdin=stdin)[0]

        return Confined(answer, {"psql", "pg_lsclusters", "postgres"})

    def client(self, argv, **more):
        """A Popen of a client's program as the server's user."""
        return subprocess.Popen(self.unprivileged(argv), env=dict(os.environ, LC_ALL="C.UTF-8", HOME=self.directory), start_new_session=True, **more)
