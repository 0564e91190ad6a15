# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Pure. DirectAdmin's tasks: their lines, and what the program says of one, as its status is 0 whether it failed or not."""

from __future__ import annotations

import re
import urllib.parse
from typing import NamedTuple

from ansible_collections.intact.hosting.plugins.module_utils._panels import _directadmin_files

RECORD = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d)\s+(info|error|warn)\s+(.*)\Z")
REFUSED, FULL, SAID, FAILED = "panel.database.refused", "panel.space", "panel.said", "panel.export.failed"
ERRORS = (
    (REFUSED, re.compile(r"can't connect to (?:local )?(?:mysql|mariadb)|got error: (?:2002|2003|2013|1045)|access denied for user", re.I)),
    (FULL, re.compile(r"no space left on device|disk quota exceeded|disk full", re.I)),
    (
        SAID,
        re.compile(
            r"\berror running \w+ task|\berror=|mysqldump: |(?:^|\s)\S*tar: .*(?:cannot|error)|error extracting|unable to\b|does not exist|cannot find", re.I
        ),
    ),
)


class Told(NamedTuple):
    """What was said of a task. ended: it was begun once and finished once, and is the one that was asked for. complaints: [(finding id, line)]."""

    ended: bool
    why: str
    complaints: tuple


def backup(user, directory, everything):
    """The task that the backup page posts: all, or all but the account's own files."""
    task = {"action": "backup", "owner": "admin", "type": "admin", "value": "multiple", "when": "now", "where": "local"}
    task.update(local_path=directory, select0=user)
    if not everything:
        task["what"] = "select"
        task.update(("option%d" % number, option) for number, option in enumerate(_directadmin_files.OPTIONS))
    return task


def restore(name, directory):
    """The task that puts one archive back; addresses are the archive's own."""
    task = {"action": "restore", "ip_choice": "file", "owner": "admin", "type": "admin", "value": "multiple", "when": "now", "where": "local"}
    return dict(task, local_path=directory, select0=name)


def line(task):
    """A task as taskq wants it."""
    return urllib.parse.urlencode(sorted(task.items()))


def told(text, action, selected, directory=None):
    """Told of a transcript. selected: the account or the archive that the task was about."""
    begun, finished, why, said = 0, 0, "", []
    for entry in text.split("\n"):
        record = RECORD.match(entry.strip())
        message = record.group(3) if record else entry.strip()
        if record and record.group(2) == "error":
            ident = next((ident for ident, pattern in ERRORS if pattern.search(message)), SAID)
            said.append((ident, "%s %s" % (record.group(2), message)))
        elif not record or record.group(2) == "warn":
            ident = next((ident for ident, pattern in ERRORS if pattern.search(message)), None)
            said += [(ident, message)] if ident and not record else []
        elif message.startswith(("executing task", "finished task")):
            begun, finished = begun + message.startswith("exec"), finished + message.startswith("fin")
            why = why or _other(message, action, selected, directory)
    if not why and (begun, finished) != (1, 1):
        why = "it does not say that it finished" if begun and not finished else "it tells of %d tasks that began and %d that finished" % (begun, finished)
    return Told(not why, why, tuple(said))


def _other(message, action, selected, directory):
    """Why a record is about another task; "" when it is not."""
    task = urllib.parse.parse_qs(message.partition("task=")[2], keep_blank_values=True)
    expected = {"action": action, "select0": selected}
    if directory:
        expected["local_path"] = directory
    for key, value in expected.items():
        if task.get(key) != [value]:
            return "it tells of another task: %s is %s" % (key, (task.get(key) or ["missing"])[0])
    if [key for key in task if re.match(r"select[1-9]", key)]:
        return "the task was about more than one account"
    return ""
