# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run over real trees into repositories that are made of memory: what fails in one does not stop the others, what was cut is continued."""

from __future__ import annotations

import errno
import os
import time

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _files_cache, _job, _progress, _run
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _content, _descriptors
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup.restic_fixture import FakeRestic


@pytest.fixture
def tree(tmp_path):
    for site in ("one", "two"):
        (tmp_path / "srv" / site).mkdir(parents=True)
        for number in range(6):
            (tmp_path / "srv" / site / ("%d.html" % number)).write_text(site)
    time.sleep(0.1)  # older than the margin for the kernel's coarse clock
    return tmp_path


def run(tree, *restics, waivers=(), clock=time.time, **options):
    """(document, {(class, repository): entry})."""
    classes = {name: {"enabled": False} for name in _run.CLASSES}
    classes["system"] = options.pop("system", classes["system"])
    classes["files"] = dict({"paths": [str(tree / "srv")]}, **options)
    job = {"host": "web1", "waivers": list(waivers), "classes": {name: _job._class(name, entry) for name, entry in classes.items()}}
    noted = {}
    work = _run.Run(
        job, System(), {r.name: r for r in restics}, lambda klass, name, entry: noted.update({(klass, name): entry}), home=str(tree / "home"), clock=clock
    )
    return work.go([]), noted


def ids(document):
    return sorted({finding["id"] for finding in document["findings"]})


def test_a_good_run(tree):
    vault, offsite, began = FakeRestic("vault"), FakeRestic("offsite"), time.time_ns()
    document, noted = run(tree, vault, offsite)
    assert (document["status"], document["findings"]) == ("ok", [])
    assert noted["files", "vault"]["result"] == "ok" and noted["files", "vault"]["counts"]["files"] == 12
    assert len(vault.calls) == 1 and vault.calls[0]["paths"][-1] == os.fsencode(str(tree / "home/manifests/files.json.gz"))
    manifest = read_document(str(tree / "home/manifests/files.json.gz"))
    assert began - 10**9 < manifest["since"] < time.time_ns()
    assert manifest["class"] == "files" and manifest["run"] == document["run"] and manifest["volatile"] == []
    assert "manifest:" + noted["files", "vault"]["manifest"] in vault.calls[0]["tags"]
    assert b"kept by the file system" in vault.calls[0]["excludes"]


def test_one_repository_that_fails_does_not_stop_the_other(tree):
    document, noted = run(tree, FakeRestic("vault", "full"), FakeRestic("offsite"))
    assert document["status"] == "failed" and ids(document) == ["backup.repository.full"]
    assert noted["files", "vault"]["result"] == "failed" and noted["files", "offsite"]["result"] == "ok"


def test_what_changes_once_is_read_again(tree):
    def during(call):
        if call == 1:
            (tree / "srv/one/0.html").write_text("changed")
            (tree / "srv/one/new").write_text("new")
            time.sleep(0.1)  # no backup is as fast as this one

    vault = FakeRestic("vault", during=during)
    document, _noted = run(tree, vault)
    manifest = read_document(str(tree / "home/manifests/files.json.gz"))
    item = manifest["sections"]["files"]["items"][str(tree / "srv/one/0.html")]
    assert document["status"] == "ok" and len(vault.calls) == 2 and item["size"] == 7 and manifest["volatile"] == []
    assert str(tree / "srv/one/new") in manifest["sections"]["files"]["items"] and vault.calls[1]["parent"] == "vault-1"


def test_what_never_rests_is_named(tree):
    vault = FakeRestic("vault", during=lambda call: (tree / "srv/one/0.html").write_text("x" * call))
    document, _noted = run(tree, vault)
    path = str(tree / "srv/one/0.html")
    assert [(f["id"], f["subject"]) for f in document["findings"]] == [("backup.source.volatile", "files " + path)]
    assert read_document(str(tree / "home/manifests/files.json.gz"))["volatile"] == [path]
    assert len(vault.calls) == _run._paths_run.REREAD + 2


def test_a_log_that_is_written_while_it_is_read_is_no_fault_of_the_host(tree, monkeypatch):
    """It is volatile, or was quiet when it was read again: neither is a file that could not be looked at."""
    read, busy = _content.Reader._read, [True]

    def changing(self, fd, st, md5):
        st, found, other = read(self, fd, st, md5)
        if busy and st.st_size == 4:
            return st, {"size": st.st_size, "state": "changing"}, None
        return st, found, other

    monkeypatch.setattr(_content.Reader, "_read", changing)
    log = tree / "srv/one/log"
    log.write_text("line")
    document, _noted = run(tree, FakeRestic("vault", during=lambda _call: os.utime(log)))
    assert ids(document) == ["backup.source.volatile"] and document["status"] == "ok"

    def during(call):
        busy.clear()
        if call == 1:
            os.utime(log)
            time.sleep(0.1)

    document, _noted = run(tree, FakeRestic("vault", during=during))
    item = read_document(str(tree / "home/manifests/files.json.gz"))["sections"]["files"]["items"][str(log)]
    assert (document["status"], ids(document)) == ("ok", []) and "hash" in item


def test_what_could_be_read_after_all_is_not_told(tree, monkeypatch):
    opened, broken = _descriptors.open_file, [True]

    def fails(name, parent):
        if broken and name == b"0.html":
            raise OSError(errno.ELOOP, "it was a link for a moment")
        return opened(name, parent)

    def during(call):
        if call == 1:
            broken.clear()
            (tree / "srv/one/0.html").chmod(0o600)
            (tree / "srv/two/0.html").chmod(0o600)
            time.sleep(0.1)

    monkeypatch.setattr(_descriptors, "open_file", fails)
    document, _noted = run(tree, FakeRestic("vault", during=during))
    assert (document["status"], document["findings"]) == ("ok", [])


def test_a_file_that_rotted_on_the_host_is_no_success(tree, monkeypatch):
    document, _noted = run(tree, FakeRestic("vault"), clock=lambda: time.time() + 300, reread_days=1)
    assert document["status"] == "ok"
    path = str(tree / "srv/one/0.html")
    noted = _files_cache.FilesCache.note

    def rotten(self, text, st, digest, plain):
        return noted(self, text, st, "0" * 64 if text == path else digest, plain)

    monkeypatch.setattr(_files_cache.FilesCache, "note", rotten)
    document, noted = run(tree, FakeRestic("vault"), clock=lambda: time.time() + 300 + 86400, reread_days=1)
    assert document["status"] == "findings" and noted["files", "vault"]["result"] == "partial"
    assert [(f["id"], f["subject"]) for f in document["findings"]] == [("backup.source.rotten", "files " + path)]


def test_a_snapshot_that_lacks_a_file_is_no_success(tree):
    document, noted = run(tree, FakeRestic("vault", lose=[b"3.html"]))
    assert document["status"] == "findings" and noted["files", "vault"]["result"] == "partial"
    assert {f["subject"] for f in document["findings"]} == {"vault files %s/srv/%s/3.html" % (tree, site) for site in ("one", "two")}


def test_an_emptied_directory_stays_a_finding_until_somebody_answers_for_it(tree):
    run(tree, FakeRestic("vault"))
    for number in range(6):
        (tree / "srv/two" / ("%d.html" % number)).unlink()
    for _time in range(2):
        document, _noted = run(tree, FakeRestic("vault"), drop_percent=90)
        found = [f for f in document["findings"] if f["id"] == "backup.class.empty"]
        if found:
            assert found[0]["subject"].endswith("/srv/two") and document["status"] == "findings"
    waiver = {"id": "backup.class.*", "subject": "*", "reason": "moved away", "who": "jane", "expires": "2999-01-01"}
    waivers = [dict(waiver, id="backup.class.empty"), dict(waiver, id="backup.class.drop")]
    assert run(tree, FakeRestic("vault"), waivers=waivers)[0]["status"] == "ok"
    assert run(tree, FakeRestic("vault"))[0]["status"] == "ok"


def test_two_runs_at_once_are_refused(tree):
    def during(_call):
        with pytest.raises(_run.Busy):
            run(tree, FakeRestic("other"))

    assert run(tree, FakeRestic("vault", during=during))[0]["status"] == "ok"


def test_a_run_that_was_killed_is_continued(tree):
    def kill(_call):
        raise KeyboardInterrupt

    def cut(vault):
        with pytest.raises(KeyboardInterrupt):
            run(tree, vault)

    cut(FakeRestic("vault", during=kill))
    directory = str(tree / "home/runs")
    # an interruption says so itself; a SIGKILL leaves the document as it was
    told = _progress.runs(directory)[-1]
    assert told["status"] == "failed" and told["error"].startswith("KeyboardInterrupt")
    _progress.write_document(os.path.join(directory, told["run"] + ".json"), dict(told, status="running", ended=""))
    document, _noted = run(tree, FakeRestic("vault"))
    assert document["run"] == told["run"] and document["resumed"] and document["status"] == "ok"
    assert run(tree, FakeRestic("vault"))[0]["run"] != told["run"]


def test_what_was_done_before_the_cut_is_not_done_again(tree):
    first, _noted = run(tree, FakeRestic("vault"))
    _progress.write_document(str(tree / "home/runs" / (first["run"] + ".json")), dict(first, status="running"))
    vault = FakeRestic("vault")
    document, _noted = run(tree, vault)
    assert vault.calls == [] and document["status"] == "ok" and set(document["done"]) == {"files"}


def test_a_clock_that_goes_backwards_is_told(tree):
    run(tree, FakeRestic("vault"))
    document, noted = run(tree, FakeRestic("vault"), clock=lambda: time.time() - 86400)
    assert "backup.clock" in ids(document) and document["status"] == "findings"
    # what is dated wrong is not called good in the state either, where it would go on being good for a day too long
    entry = noted["files", "vault"]
    assert entry["result"] == "partial" and "backup.clock" in [finding["id"] for finding in entry["findings"]]


def test_a_class_that_cannot_be_looked_at_is_failed_everywhere(tree, monkeypatch):
    def refuse(_system, _options):
        raise IntactError("no")

    monkeypatch.setattr(_run.CLASSES["files"], "paths", refuse)
    document, noted = run(tree, FakeRestic("vault"))
    assert document["status"] == "failed" and ids(document) == ["backup.class.failed"] and noted["files", "vault"]["result"] == "failed"


def test_a_class_with_a_fault_that_nobody_thought_of_is_failed_in_the_state_and_the_next_gets_its_turn(tree, monkeypatch, capsys):
    """The state would go on saying that the last backup was good."""

    def break_down(_system, _options):
        raise OSError(8, "Exec format error", "mariadb-dump")

    monkeypatch.setattr(_run.CLASSES["system"], "in_use", lambda _system: True)
    monkeypatch.setattr(_run.CLASSES["system"], "paths", break_down)
    monkeypatch.setattr(_run.CLASSES["system"], "prepare", lambda *_: None)
    document, noted = run(tree, FakeRestic("vault"), system={"enabled": True})
    assert noted["system", "vault"]["result"] == "failed" and noted["files", "vault"]["result"] == "ok"
    told = [finding for finding in document["findings"] if finding["id"] == "backup.class.failed"]
    assert [finding["subject"] for finding in told] == ["system"] and "Exec format error: 'mariadb-dump'" in told[0]["evidence"]
    assert document["status"] == "failed" and "Traceback" in capsys.readouterr().err


def test_a_repository_whose_newest_snapshot_is_of_tomorrow_tells_of_the_clock(tree):
    vault = FakeRestic("vault")
    vault.newest = ["2999-01-01T00:00:00.123456789Z"]
    document, noted = run(tree, vault, FakeRestic("offsite"))
    assert ids(document) == ["backup.clock"] and document["status"] == "findings" and len(document["findings"]) == 1
    assert noted["files", "vault"]["result"] == "partial" and noted["files", "offsite"]["result"] == "ok"
