# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists of Mailman 2 (a stand-in's pickles) into a real Mailman 3 of our own, with its own import21."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_lists, _lists_live, _lists_old, lists
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import mail_lab, mailman2

CONFIG = """[mailman]
layout: scratch
site_owner: nobody@example.com
[paths.scratch]
var_dir: {0}/var/lib/mailman3
bin_dir: /usr/lib/mailman3/bin
queue_dir: $var_dir/queue
list_data_dir: $var_dir/lists
log_dir: $var_dir/logs
lock_dir: $var_dir/locks
data_dir: $var_dir/data
cache_dir: $var_dir/cache
etc_dir: {0}
messages_dir: $var_dir/messages
archive_dir: $var_dir/archives
template_dir: $var_dir/templates
pid_file: $var_dir/master.pid
lock_file: $lock_dir/master.lck
[database]
class: mailman.database.sqlite.SQLiteDatabase
url: sqlite:///{0}/var/lib/mailman3/data/mailman.db
[mta]
incoming: mailman.mta.null.NullMTA
"""


class Host(Rooted):
    """The files of a Mailman 3 of our own; programs are this machine's."""

    def which(self, program):
        return which(program)


@pytest.fixture
def mailman():
    if os.geteuid() != 0 or which("mailman") is None:
        pytest.skip("a Mailman 3 of our own needs root and mailman (apt-get install mailman3)")
    root = tempfile.mkdtemp(prefix="intact-mailman-", dir="/tmp")
    try:
        os.makedirs(root + "/var/lib/mailman3")
        os.makedirs(root + "/etc/mailman3")
        with open(root + "/etc/mailman3/mailman.cfg", "w") as handle:
            handle.write("[paths.debian]\nvar_dir: /var/lib/mailman3\n[database]\nurl: sqlite:////var/lib/mailman3/data/mailman.db\n")
        with open(root + "/mailman.cfg", "w") as handle:
            handle.write(CONFIG.format(root))
        os.chmod(root, 0o755)
        shutil.chown(root + "/var/lib/mailman3", "list", "list")
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def make(root, disk, tmp_path, **settings):
    command = ["runuser", "-u", "list", "--", "mailman", "-C", root + "/mailman.cfg"]
    subprocess.run([*command, "lists", "-q"], check=True, capture_output=True, timeout=120)
    context = mail_lab.StandIn(disk.root, tmp_path / "migration", mailman_command=command, **settings)
    context.system = Host(os.fsencode(root))
    return context


def by_id(document):
    out = {}
    for entry in document["findings"]:
        out.setdefault(entry["id"].rpartition("lists.")[2], []).append(entry["subject"])
    return out


def unexplained(context, document):
    """What the reconciliation would be left with."""
    old, new = _class_lists.old(context), _class_lists.new(context)
    left = []
    for subject, attributes in old.items():
        told = [line for line in document["explained"] if line["subject"] == subject]
        if subject not in new:
            left += [] if told else [(subject, "missing")]
            continue
        for name, value in attributes.items():
            rules = [r for r in _class_lists.RULES if r["attribute"] == name and r["when"](value, new[subject].get(name))]
            if new[subject].get(name) != value and not rules and not any(line.get("attribute", name) == name for line in told):
                left.append((subject, name, value, new[subject].get(name)))
    return left


def test_lists_come_with_people_and_settings(mailman, tmp_path):
    disk = mail_lab.OldDisk(tmp_path / "old")
    mailman2.write(disk, "alle", mailman2.config("alle"))
    mailman2.write(disk, "klein_lists.example.com", mailman2.config("klein", archive=False, archive_private=0, default_member_moderation=1), protocol=0)
    mailman2.write(disk, "fremd", mailman2.config("fremd", preferred_language=b"xx", language={b"ann@example.com": b"xx"}))
    mailman2.write(disk, "mailman", mailman2.config("mailman"))
    mailman2.write(disk, "bad", b"cos\nsystem\n(S'touch %s'\ntR." % str(tmp_path / "ran").encode())
    banned = mailman2.config("gebannt", ban_list=[b"ann@example.com"])
    mailman2.write(disk, "gebannt", banned)
    disk.write("/var/lib/mailman/lists/alle/request.pck", mailman2.dumps({b"version": (0, 1), 1: (1, b"x"), 2: (2, b"y")}))
    archive = "".join(mail_lab.message(n) for n in range(3)) + "From " + mail_lab.DATE + "\nSubject: no id\n\nFrom time to time\n\n"
    disk.write("/var/lib/mailman/archives/private/alle.mbox/alle.mbox", archive)
    before = disk.state()
    context = make(mailman, disk, tmp_path)
    document = lists.run(context)
    found = by_id(document)
    assert disk.state() == before and not (tmp_path / "ran").exists()
    assert found["list.failed"] == ["bad"] and document["status"] == "failed"
    assert set(found) <= {"list.failed", "language", "requests.waiting", "archive.odd", "archive.kept", "import21.said", "member.banned"}, document["findings"]
    assert document["counts"]["lists made"] == 4 and document["counts"]["requests waiting"] == 2 and document["counts"]["archived messages"] == 4
    told = subprocess.run(
        [*context.settings["mailman_command"], "members", "alle@lists.example.com"], stdout=subprocess.PIPE, check=True, timeout=60
    ).stdout.decode()
    # the display name comes along, in letters that import21 itself would have dropped
    assert {line.split()[-1].strip("<>").lower() for line in told.splitlines() if "@" in line} == {
        "ann@example.com",
        "bob@example.com",
        "cem@example.com",
        "dora@example.com",
    }
    item = _lists_live.Mailman(context.system, context.settings["mailman_command"]).lists()["alle@lists.example.com"]
    assert item["settings"]["description"] == "Gr\xfc\xdfe an alle" and item["settings"]["subject_prefix"] == "[alle] "
    assert item["settings"]["archive_policy"] == "1" and item["settings"]["subscription_policy"] == "3"
    assert unexplained(context, document) == [("bad", "missing")]
    kept = os.path.join(context.directory, "lists.d", "archives", "alle.mbox")
    with open(kept, "rb") as handle:
        assert handle.read() == archive.encode()
    again = lists.run(context)
    assert not again["changed"] and again["counts"]["lists made"] == 0
    assert by_id(again).keys() == {key for key in found if key not in ("language", "import21.said")}


def test_what_was_there_is_left_alone_and_refusals_are_told(mailman, tmp_path, monkeypatch):
    disk = mail_lab.OldDisk(tmp_path / "old")
    mailman2.write(disk, "alle", mailman2.config("alle"))
    mailman2.write(disk, "nu\xdf", mailman2.config("nuss"))
    mailman2.write(disk, "ohne", mailman2.config("ohne", host_name=b""))
    context = make(mailman, disk, tmp_path)
    live = _lists_live.Mailman(context.system, context.settings["mailman_command"])
    live.create("alle@lists.example.com")
    document = lists.run(context)
    found = by_id(document)
    assert found["list.there"] == ["alle@lists.example.com"] and sorted(found["list.failed"]) == ["nu\xdf", "ohne"]
    assert live.lists()["alle@lists.example.com"]["people"] == {}
    # its members are missed all the same
    assert found["people.missing"] == ["alle@lists.example.com"] * 4


def test_a_failed_import_leaves_no_list_and_is_continued(mailman, tmp_path, monkeypatch):
    disk = mail_lab.OldDisk(tmp_path / "old")
    mailman2.write(disk, "alle", mailman2.config("alle"))
    context = make(mailman, disk, tmp_path)
    live = _lists_live.Mailman(context.system, context.settings["mailman_command"])
    real = _lists_live.Mailman.import21

    def broken(self, *words):
        raise IntactError("import21 broke")

    monkeypatch.setattr(_lists_live.Mailman, "import21", broken)
    assert by_id(lists.run(context))["list.failed"] == ["alle"] and live.lists() == {}

    def killed(self, *words):
        raise KeyboardInterrupt

    monkeypatch.setattr(_lists_live.Mailman, "import21", killed)
    with pytest.raises(KeyboardInterrupt):
        lists.run(context)
    assert list(live.lists()) == ["alle@lists.example.com"]
    monkeypatch.setattr(_lists_live.Mailman, "import21", real)
    document = lists.run(context)
    assert document["status"] == "done", document["findings"]
    assert unexplained(context, document) == []


def test_a_lost_member_is_found(mailman, tmp_path):
    disk = mail_lab.OldDisk(tmp_path / "old")
    mailman2.write(disk, "alle", mailman2.config("alle"))
    context = make(mailman, disk, tmp_path)
    lists.run(context)
    command = [*context.settings["mailman_command"], "delmembers", "-l", "alle@lists.example.com", "-m", "cem@example.com", "-G", "-N"]
    subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=120)
    document = lists.run(context)
    assert by_id(document)["people.missing"] == ["alle@lists.example.com"] and document["status"] == "failed"
    assert [row[:2] for row in unexplained(context, document)] == [("alle@lists.example.com", "digest"), ("alle@lists.example.com", "subscribers")]


def test_falls_back_to_the_one_before(tmp_path):
    disk = mail_lab.OldDisk(tmp_path / "old")
    mailman2.write(disk, "alle", b"cut off")
    disk.write("/var/lib/mailman/lists/alle/config.pck.last", mailman2.dumps(mailman2.config("alle")))
    context = mail_lab.StandIn(disk.root, tmp_path / "migration")
    entry = _lists_old.lists(context)[0][0]
    told, note = _lists_old.config(context, entry)
    assert told["real_name"] == "Alle" and "config.pck" in note
