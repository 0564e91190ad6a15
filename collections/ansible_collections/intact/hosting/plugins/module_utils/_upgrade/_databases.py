# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Databases across the upgrade: a clean shutdown proved before the binary changes, and the new version's own upgrade afterwards."""

from __future__ import annotations

import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade._host import StageFailure

SLOW = (
    b"# written by the upgrade, removed at its end: every shutdown writes everything back, so that the next version can read it\n"
    b"[mysqld]\ninnodb_fast_shutdown = 0\n"
)
DIRECTORIES = ("/etc/mysql/mariadb.conf.d", "/etc/mysql/mysql.conf.d", "/etc/mysql/conf.d", "/etc/my.cnf.d")
NAME = "zz-intact-upgrade.cnf"


def mysql_unit(host):
    """The unit of the running MySQL or MariaDB server, or None."""
    for unit in ("mariadb.service", "mysql.service"):
        if host.unit_state(unit) == "active":
            return unit
    return None


def mysql(host, statement):
    """Run one statement as root over the socket; returns its text."""
    program = which("mariadb") or which("mysql")
    defaults = ["--defaults-file=/etc/mysql/debian.cnf"] if os.path.exists("/etc/mysql/debian.cnf") else []
    for words in ([], defaults):
        result = host.run([program] + words + ["--batch", "--skip-column-names", "-e", statement], timeout=300, check=False)
        if result.rc == 0:
            return result.text
    raise IntactError("the database server does not let root in over its socket: %s" % (result.error.splitlines()[-1:] or [""])[0])


def clean_stop(log):
    """Whether a server's log ends with a whole shutdown: InnoDB's end and the server's. Pure."""
    tail = log[-20000:]
    engine = [m.start() for m in re.finditer(r"Shutdown completed; log sequence number", tail)]
    server = [m.start() for m in re.finditer(r"Shutdown complete\b", tail)]
    begun = [m.start() for m in re.finditer(r"ready for connections|as process \d+", tail)]
    return bool(engine and server) and min(engine[-1], server[-1]) > (begun[-1] if begun else -1)


def stop_cleanly(host):
    """Stop the server slowly once, prove it from its log, start it again with slow shutdown still on; returns a sentence.

    The package stops it again just before its binary changes: with nothing left to write, and slowly as well.
    """
    unit = mysql_unit(host)
    stopped = host.memory.recall("database_stopped")
    if not unit and stopped:
        # A cut came between our stop and our start.
        host.systemctl("start", stopped, timeout=900)
        unit = mysql_unit(host)
    if not unit:
        return ""
    prepared = mysql(host, "XA RECOVER").strip()
    if prepared:
        raise StageFailure(
            "the database holds %d prepared XA transactions, which a new version may not take over" % len(prepared.splitlines()),
            "commit or roll them back (XA RECOVER; XA COMMIT ...), then start the upgrade again",
        )
    directory = next((d for d in DIRECTORIES if os.path.isdir(d)), None)
    if directory:
        write_atomic(os.path.join(directory, NAME), SLOW, 0o644)
    mysql(host, "SET GLOBAL innodb_fast_shutdown = 0")
    error_log = mysql(host, "SELECT @@global.log_error").strip()
    since = host.run(["date", "+%s"]).text.strip()
    offset = os.path.getsize(error_log) if error_log.startswith("/") and os.path.exists(error_log) else 0
    host.memory.remember("database_stopped", unit)
    host.memory.progress(0, 0, "", "shutting %s down slowly" % unit)
    host.systemctl("stop", unit, timeout=7200)
    try:
        # The journal may take a moment to hold the last line.
        for _attempt in range(5):
            clean = clean_stop(_said(host, unit, since, error_log, offset))
            if clean:
                break
            time.sleep(1)
    finally:
        host.systemctl("start", unit, timeout=900)
    if not clean:
        raise StageFailure("%s did not say that it shut down cleanly" % unit, "look into its log, see to a clean stop, then start the upgrade again")
    return "%s shut down cleanly" % unit


def _said(host, unit, since, error_log, offset):
    """What a server wrote since a moment, in the journal and in its own error log."""
    log = host.run(["journalctl", "-q", "--no-pager", "-o", "cat", "-u", unit, "--since", "@" + since], check=False).text
    if error_log.startswith("/") and os.path.exists(error_log):
        with open(error_log, "rb") as handle:
            handle.seek(offset)
            log += handle.read().decode("utf-8", "replace")
    return log


def speed_up(host):
    """Remove the slow-shutdown setting."""
    for directory in DIRECTORIES:
        path = os.path.join(directory, NAME)
        if os.path.exists(path):
            os.unlink(path)
            if mysql_unit(host):
                mysql(host, "SET GLOBAL innodb_fast_shutdown = 1")


def upgrade_mysql(host):
    """Bring system tables to the running version when that is needed; returns a sentence."""
    unit = mysql_unit(host)
    if not unit:
        if host.package_version("mariadb-server") or host.package_version("mysql-server"):
            unit = "mariadb.service" if host.package_version("mariadb-server") else "mysql.service"
            host.systemctl("start", unit, timeout=900)
        else:
            return ""
    program = which("mariadb-upgrade") or which("mysql_upgrade")
    if not program:
        return "%s upgrades itself" % unit
    for _attempt in range(2):
        # Status 0: needed, 1: not needed.
        needed = host.run([program, "--check-if-upgrade-is-needed"], timeout=600, check=False)
        if needed.rc != 0:
            return "%s: system tables are %s's" % (unit, mysql(host, "SELECT VERSION()").strip())
        host.note("%s" % program)
        result = host.run([program], timeout=86400, check=False)
        host.note(result.text[-4000:] + result.error)
    raise StageFailure(
        "%s still says that its tables need an upgrade" % program, "run %s by hand and read what it says, then start the upgrade again" % program
    )
