# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan tells besides its steps: what stays in the backup, what it does not know, and whose owners are nobody here."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _restore_plan, _restore_steps
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import restore_fixture as fixture

HERE = "/etc/intact-test-%s.conf"


def planned(backup, **more):
    return _restore_plan.plan("r", backup, System(), **more)[1]


def system(*paths, sections=None, **more):
    files = fixture.names(["/etc"], *paths, **more)
    source = fixture.fake.Memory("near")
    fixture.back_up(source, "", "system", files=files, sections=sections)
    return fixture._opened.Backup(source, "web1")


def test_a_pattern_that_matches_nothing_is_told_and_the_default_ones_are_not():
    found = planned(system("/etc/x.conf"), system_paths=[*_restore_steps.SYSTEM_PATHS, "/etc/y*", "/etc/x.conf"])
    assert [(f.id, f.severity, f.subject) for f in found] == [("restore.path.unknown", "warning", "/etc/y*")]


def test_what_the_administrator_had_set_and_no_step_brings_is_told():
    mine, edited, brought, machine = HERE % "mine", HERE % "edited", "/etc/intact-test.d/x", "/etc/fstab"
    more = {path: {"origin": "local"} for path in (mine, brought, machine)}
    more[edited], more["/etc/p"] = {"origin": "conffile-edited"}, {"origin": "package"}
    backup = system("/etc/intact-test.d/", *more, sections={"accounts": {"items": {"quota ann": {}, "ann": {}}}}, **more)
    (found,) = planned(backup, system_paths=["/etc/intact-test.d"])
    assert (found.id, found.severity, found.details["paths"]) == ("restore.left", "warning", [mine, edited])
    assert found.evidence == "2: %s, %s; quotas of 1 accounts" % (mine, edited) and found.details["quotas"] == ["quota ann"]
    (found,) = planned(backup, system_paths=["/etc/intact-test*"])
    assert found.details["paths"] == [] and found.details["quotas"] == ["quota ann"]
    assert planned(backup, select={"paths": ["/etc/p"]}) == []


def test_files_of_somebody_who_has_no_account_here_are_told_when_a_part_comes():
    files = fixture.names(["/h"], "/h/x", **{"/h/x": {"uid": 59123, "gid": 59123}})
    passwd = fixture.names(["/etc"], "/etc/passwd", "/etc/group")
    backup = fixture.opened(files=files, system=passwd)
    texts = {"passwd": "intact-nobody:x:59123:59123::/:/bin/sh\n", "group": "intact-nobody:x:59123:\n"}
    backup.source.files.update({(backup.runs["system"].snapshot, "/etc/" + kind): text.encode() for kind, text in texts.items()})
    (found,) = planned(backup, select={"paths": ["/h/x"]})
    assert (found.id, found.severity, found.details["accounts"]) == ("restore.account.missing", "warning", ["intact-nobody"])
    assert "restore.account.missing" not in [f.id for f in planned(backup)]  # they come with everything
