# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phase jobs: real crontabs through the real crontab, in a mount namespace of its own; disabled, once, and found again by the reconciliation."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._migration import _cron_block, _cron_lacks, _cron_old, accounts
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import identity_fixture as fixture

TREE = __file__.split("/ansible_collections/", maxsplit=1)[0]
ANNA = b"""# Anna's jobs, caf\xe9
MAILTO=anna@example.com
CRON_TZ=Europe/Vienna
5 4 * * * /usr/bin/php4 /home/anna/cron.php > /home/anna/log 2>&1
@reboot /bin/sh -c 'echo 50\\% > /tmp/x'
"""
CRONTAB = """SHELL=/bin/bash
PATH=/sbin:/bin:/usr/sbin:/usr/bin
MAILTO=root
HOME=/

# run-parts
01 * * * * root run-parts /etc/cron.hourly
02 4 * * * root run-parts /etc/cron.daily
17 3 * * 0 root /usr/local/sbin/rotate-backups
30 * * * * apache /usr/bin/php4 -q /var/www/cron.php
"""
AT_BODY = """#!/bin/sh
# atrun uid=500 gid=500
# mail     anna 0
umask 22
cd /home/anna || {
\t echo 'Execution directory inaccessible' >&2
\t exit 1
}
/home/anna/bin/invoice
"""


def disk(old):
    """Jobs of a CentOS 5."""
    fixture.write(
        old,
        {
            "/var/spool/cron/anna": (ANNA, 0o600),
            "/var/spool/cron/bob": ("*/5 * * * * /bin/sh -c true\nnot a line\n", 0o600),
            "/var/spool/cron/list": ("0 0 * * * /bin/true\n", 0o600),
            "/var/spool/cron/ghost": ("0 1 * * * /bin/true\n", 0o600),
            "/var/spool/cron/empty": ("\n\n", 0o600),
            "/etc/crontab": CRONTAB,
            "/etc/cron.d/sysstat": "*/10 * * * * root /usr/lib/sa/sa1 1 1\n",
            "/etc/cron.d/customers": "MAILTO=ops@example.com\n7 7 * * *\tanna\t/bin/sh /home/anna/report\n8 8 * * * root /bin/sh /root/bill.sh\n",
            "/etc/cron.d/with.dot": "1 1 * * * root /bin/never\n",
            "/etc/cron.daily/logrotate": ("#!/bin/sh\n", 0o755),
            "/etc/cron.daily/dump-all": ("#!/usr/bin/perl4\nprint 1;\n", 0o755),
            "/etc/cron.daily/off": ("#!/bin/sh\n", 0o644),
            "/etc/anacrontab": "SHELL=/bin/sh\n1\t65\tcron.daily\trun-parts /etc/cron.daily\n7\t70\tmine\t/bin/sh /root/weekly\n",
            "/etc/sysconfig/clock": 'ZONE="Pacific/Auckland"\n',
            "/var/spool/at/a0000101a3b4c5": (AT_BODY, 0o700),
        },
    )
    os.symlink("/etc/shadow", os.path.join(str(old), "var/spool/cron/link"))


@pytest.fixture
def prepared(tmp_path):
    """A migration whose accounts are there: (old, new, directory)."""
    if os.geteuid():
        pytest.skip("needs root: mounts in a namespace of its own")
    for tool in ("crontab", "unshare"):
        if not shutil.which(tool):
            pytest.skip("needs %s" % tool)
    if subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs mount namespaces")
    context = fixture.migration(tmp_path)
    accounts.run(context)
    disk(tmp_path / "old")
    os.makedirs(tmp_path / "new/spool/crontabs")
    os.chmod(tmp_path / "new/spool/crontabs", 0o1730)
    return str(tmp_path / "old"), str(tmp_path / "new"), context.directory


def namespace(prepared, *words):
    """What jobs_in_namespace.py prints for these words."""
    script = os.path.join(os.path.dirname(__file__), "jobs_in_namespace.py")
    argv = ["unshare", "-m", "--propagation", "private", sys.executable, script, *prepared, *words]
    done = subprocess.run(argv, check=False, capture_output=True, env=dict(os.environ, PYTHONPATH=TREE), timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def tree(path):
    """Digest of everything below a path."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            full = os.path.join(folder, name)
            digest.update(full.encode() + (os.readlink(full).encode() if os.path.islink(full) else fixture.read(full).encode()))
    return digest.hexdigest()


def unexplained(document, old, new):
    """Subjects that differ without a word of the phase."""
    said = {line["subject"] for line in document["explained"]}
    return sorted(s for s in set(old) | set(new) if old.get(s) != new.get(s) and s not in said)


def test_imported_disabled_once_and_enabled_by_one_command(prepared):
    before = tree(prepared[0])
    foretold, spool = namespace(prepared, "check", "spool")
    assert foretold["changed"] and spool == {} and not os.path.exists(prepared[2] + "/jobs.d")
    document, first, again, second = namespace(prepared, "run", "spool", "run", "spool")
    assert document["changed"] and not again["changed"] and first == second
    assert sorted(first) == ["anna", "bob", "root", "www-data"]
    for text in first.values():
        assert all(line.startswith("#") or not line for line in text.split("\n")), text
    assert foretold["counts"]["imported"] == document["counts"]["imported"] == 9
    off = "".join(line[9:] + "\n" for line in first["anna"].split("\n") if line.startswith("#intact# "))
    assert ANNA.decode("latin-1") in off
    _said, enabled, rerun, third = namespace(prepared, "enable=anna", "spool", "run", "spool")
    assert ANNA.decode("latin-1") in enabled["anna"] and "\n#intact#" not in enabled["anna"]
    assert not rerun["changed"] and third == enabled, "what somebody enabled stays enabled and is not imported again"
    assert tree(prepared[0]) == before


def test_cut_half_way_and_run_again(prepared):
    said, half, document, spool = namespace(prepared, "cut=bob", "spool", "run", "spool")
    assert said == "cut" and sorted(half) == ["anna", "bob"] and document["changed"]
    assert sorted(spool) == ["anna", "bob", "root", "www-data"] and spool["anna"] == half["anna"] and spool["bob"] == half["bob"]
    assert all(text.count("# intact-migration begin") == text.count("# intact-migration end") for text in spool.values())
    assert spool["root"].count("# intact-migration begin") == 4 and document["counts"]["imported"] == 9


def test_live_crontabs_stay_and_their_settings_do_not_reach_in(prepared):
    spool = prepared[1] + "/spool/crontabs/anna"
    fixture.write("/", {spool: ('PATH=/opt/bin\nMAILTO=""\nX=1\n1 2 * * * /bin/live', 0o600)})
    _document, first = namespace(prepared, "run", "spool")
    assert first["anna"].split("\n# intact-migration begin", 1)[0].endswith("1 2 * * * /bin/live")
    block = first["anna"].split("# intact-migration begin", 1)[1].split("# the lines as they were:")[0]
    assert "#intact# PATH=/usr/bin:/bin" in block and '#intact# X=""' in block and "MAILTO" not in block


def test_what_is_missing_is_said(prepared):
    document = namespace(prepared, "run")[0]
    said = {}
    for finding in document["findings"]:
        said.setdefault(finding["id"], []).append(finding["subject"] + " | " + finding["evidence"])
    lacking = "\n".join(said["jobs.lacking"])
    assert "/usr/bin/php4 is not there" in lacking and "/home/anna/cron.php is not there" in lacking and "rotate-backups is not there" in lacking
    assert "/home/anna is not there" in lacking, "the directory of a file that a job writes"
    assert "perl4, which is not there" in lacking
    assert "/home/anna/log is" not in lacking and "2>&1" not in lacking.replace("cron.php > /home/anna/log 2>&1", "")
    assert any("not a line" in line for line in said["jobs.unreadable"])
    assert {line.split(" |")[0] for line in said["jobs.user"]} == {"user list", "user ghost"}
    assert any("Pacific/Auckland" in line for line in said["jobs.timezone"])
    assert len(said["jobs.at"]) == 1 and "invoice" in said["jobs.at"][0]
    assert any(line.startswith("user bob") for line in said["jobs.syntax"]), "the host's own crontab was asked"
    left = os.listdir(prepared[2] + "/jobs.d/left")
    assert len(left) == 2 and all(os.stat(prepared[2] + "/jobs.d/left/" + name).st_mode & 0o77 == 0 for name in left)
    assert fixture.read(prepared[2], "jobs.d/at/a0000101a3b4c5") == AT_BODY


def test_reconciliation_finds_what_was_lost_or_changed(prepared):
    document, old, new = namespace(prepared, "run", "old", "new")
    assert unexplained(document, old, new) == ["list: 0 0 * * * /bin/true"], "its account is a conflict, so it is not explained away"
    assert any(s.startswith("root: daily /etc/cron.daily/dump-all") for s in new) and not any("logrotate" in s for s in new)
    assert not any("/etc/shadow" in s for s in old) and "root: 1 1 * * * /bin/never" not in old
    path = prepared[1] + "/spool/crontabs/anna"
    text = fixture.read(path)
    with open(path, "w", encoding="latin-1") as handle:
        handle.write(text.replace("5 4 * * *", "6 4 * * *").replace("anna@example.com", "eve@example.com"))
    os.unlink(prepared[2] + "/jobs.d/parts/daily/dump-all")
    new = namespace(prepared, "new")[0]
    assert len(unexplained(document, old, new)) == 5, "an hour (missing and extra), a setting of the other job, a script, the conflict"


def test_packages_jobs_are_not_imported_twice(prepared):
    status = "Package: awstats\nConffiles:\n /etc/cron.d/awstats %s\n /etc/cron.d/mine %s\n" % (hashlib.md5(b"1 1 * * * root /a\n").hexdigest(), "0" * 32)
    fixture.write(
        prepared[0],
        {
            "/var/lib/dpkg/status": status,
            "/etc/cron.d/awstats": "1 1 * * * root /a\n",
            "/etc/cron.d/mine": "2 2 * * * root /b\n",
            "/etc/cron.d/e2scrub_all": "3 3 * * * root /c\n",
        },
    )
    document, old, new = namespace(prepared, "run", "old", "new")
    assert "root: 2 2 * * * /b" in new and "root: 1 1 * * * /a" not in new
    assert any("awstats" in line["reason"] for line in document["explained"])
    if os.path.exists("/etc/cron.d/e2scrub_all"):
        assert "root: 3 3 * * * /c" not in new
        assert any("e2scrub_all of the package e2fsprogs" in line["reason"] for line in document["explained"])
    assert unexplained(document, old, new)[0].startswith("list:")


def test_block_is_pure_and_reversible():
    tab = {"user": "an\udce9", "source": "/var/spool/cron/x", "lines": [b"A=1", b"# \xe9", b"1 * * * * b", b""]}
    text, added = _cron_block.merged(b"", "m1", [tab], "x")
    assert added == [tab] and _cron_block.merged(text, "m1", [tab], "x") == (text, [])
    assert _cron_block.blocks(text, "m1") == [("an\\xe9", "/var/spool/cron/x", "A=1\n# \udce9\n1 * * * * b")]
    assert _cron_block.blocks(_cron_block.enabled(text), "m1") == _cron_block.blocks(text, "m1")
    assert _cron_block.blocks(text, "m2") == [] and len(_cron_block.merged(text, "m2", [tab], "x")[1]) == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [("/bin/sh /a/b", ["/a/b"]), ("/bin/sh -c x >> /q/z/log", ["/q/z"]), ("/bin/sh -c true > /dev/null", []), ("/bin/sh $HOME/x http://h/y a%/c/d", [])],
)
def test_paths_of_a_command(tmp_path, command, words):
    fixture.write(tmp_path, {"/bin/sh": ("x", 0o755), "/dev/null": "", "/b": ""})
    system = fixture.Rooted(str(tmp_path))
    job = _cron_lacks.jobs({"user": "u", "lines": [b"1 * * * * " + command.encode()]})[0]
    assert [said.split(" is ")[0] for said in _cron_lacks.lacking(system, job)] == words


def test_timezones(tmp_path):
    fixture.write(tmp_path, {"/etc/timezone": "Europe/Vienna\n"})
    assert _cron_old.timezone(fixture.Rooted(str(tmp_path))) == "Europe/Vienna"
