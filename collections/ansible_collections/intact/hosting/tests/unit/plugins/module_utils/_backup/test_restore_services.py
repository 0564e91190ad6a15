# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services around a restore, with a systemctl of our own, and what a cut leaves of them."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _restore, _restore_journal, _restore_plan, _restore_services
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import restore_fixture as fixture

# a unit is a file that holds its state; one that is named in broken does not run after a start
SYSTEMCTL = """#!/bin/sh
cd "$(dirname "$0")/units" || exit 1
verb=$1; shift
while [ "$1" = -- ]; do shift; done
echo "$verb $*" >> ../said
case $verb in
list-units)
  states=; patterns=
  for word in "$@"; do case $word in --state=*) states=${word#--state=} ;; --*) ;; *) patterns="$patterns $word" ;; esac; done
  for unit in $patterns; do [ -e "$unit" ] && case ",$states," in *",$(cat "$unit"),"*) echo "$unit loaded $(cat "$unit") x words" ;; esac; done
  exit 0 ;;
show) echo "ActiveState=$(cat "$1")"; echo Type=simple; echo Result=success ;;
stop) [ -e "../stuck-$1" ] && exit 1; echo inactive > "$1" ;;
start|restart|reload-or-restart) if [ -e "../broken-$1" ]; then echo failed > "$1"; else echo active > "$1"; fi ;;
esac
"""


@pytest.fixture(autouse=True)
def host(tmp_path, monkeypatch):
    """Directory of units: dovecot.service and dovecot.socket run, exim.service does not."""
    place = tmp_path / "bin"
    (place / "units").mkdir(parents=True)
    for unit, state in (("dovecot.service", "active"), ("dovecot.socket", "active"), ("exim.service", "inactive")):
        (place / "units" / unit).write_text(state)
    (place / "systemctl").write_text(SYSTEMCTL)
    (place / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % place)
    monkeypatch.setattr(_restore_services, "which", lambda _program: None)
    return place


@pytest.fixture
def mail(tmp_path):
    """(plan, backup) of the class mail, whose one mailbox is lost."""
    box = tmp_path / "host" / "box"
    box.parent.mkdir()
    box.write_text("mail")
    source = fixture.fake.Memory("near")
    fixture.back_up(source, tmp_path / "store", "mail", box)
    backup = fixture._opened.Backup(source, "web1")
    box.unlink()
    return _restore_plan.plan("r", backup, System(), [], {"classes": ["mail"]})[0], backup


def state(host, unit):
    return (host / "units" / unit).read_text().strip()


def verbs(host, *wanted):
    return [line for line in (host / "said").read_text().splitlines() if line.split()[0] in wanted]


def services():
    return _restore_services.Services(stop={"mail": ["dovecot.*", "exim.service"]})


def test_only_what_runs_is_stopped_sockets_first_and_started_last(tmp_path, host, mail):
    done = fixture.restore(tmp_path, *mail, services=services())
    assert done.run() and done.findings == [] and done.stopped == []
    assert verbs(host, "stop", "start") == ["stop dovecot.socket", "stop dovecot.service", "start dovecot.service", "start dovecot.socket"]
    assert state(host, "exim.service") == "inactive"


def test_a_cut_between_stop_and_start_names_what_is_down_and_the_next_run_starts_it(tmp_path, host, mail):
    whole, mail[1].source.restore = mail[1].source.restore, fixture.failing(IntactError("the line is dead"))
    cut = fixture.restore(tmp_path, *mail, services=services())
    with pytest.raises(IntactError, match="dead"):
        cut.run()
    assert cut.stopped == ["dovecot.service", "dovecot.socket"] and state(host, "dovecot.service") == "inactive"
    mail[1].source.restore = whole
    done = fixture.restore(tmp_path, *mail)  # the operator forgot which services they were
    assert done.stopped == ["dovecot.service", "dovecot.socket"]
    assert done.run() and done.findings == [] and done.stopped == [] and state(host, "dovecot.service") == state(host, "dovecot.socket") == "active"


def test_a_cut_while_services_are_being_stopped_leaves_none_stopped_for_ever(tmp_path, host, mail):
    class Dying(_restore_services.Services):
        def stop(self, units):
            super().stop(units[:1])
            raise OSError("the power went")

    with pytest.raises(OSError, match="power"):
        fixture.restore(tmp_path, *mail, services=Dying(stop={"mail": ["dovecot.*"]})).run()
    assert "inactive" in (state(host, "dovecot.service"), state(host, "dovecot.socket"))
    done = fixture.restore(tmp_path, *mail, services=services())
    assert done.run() and state(host, "dovecot.service") == state(host, "dovecot.socket") == "active"


def test_what_cannot_be_stopped_is_not_restored_under_its_feet(tmp_path, host, mail):
    (host / "stuck-dovecot.service").touch()
    done = fixture.restore(tmp_path, *mail, services=services())
    with pytest.raises(IntactError, match=r"dovecot.service could not be stopped, and writes"):
        done.run()
    assert not (tmp_path / "host" / "box").exists() and "dovecot.socket" in done.stopped


def test_a_unit_that_does_not_run_afterwards_is_a_finding_until_it_runs(tmp_path, host, mail):
    (host / "broken-dovecot.service").touch()
    for number in range(3):
        done = fixture.restore(tmp_path, *mail, services=services())
        assert done.run() is (number == 0)
        assert [(f.id, f.severity, f.subject) for f in done.findings] == [("restore.unit", "blocker", "mail dovecot.service")]
        assert "does not run: journalctl -u dovecot.service" in done.findings[0].evidence
    (host / "broken-dovecot.service").unlink()
    done = fixture.restore(tmp_path, *mail, services=services())
    assert done.run() and done.findings == [] and state(host, "dovecot.service") == "active"
    assert not fixture.restore(tmp_path, *mail, services=services()).run()


def test_the_end_of_a_restore_that_was_cut_before_it_is_made_good(tmp_path, host, mail):
    finishing = _restore_services.Services(finish=["dovecot.service"])
    finishing.finish, whole = fixture.failing(IntactError("cut")), finishing.finish
    with pytest.raises(IntactError, match="cut"):
        fixture.restore(tmp_path, *mail, services=finishing).run()
    assert _restore_journal.Journal(str(tmp_path / "restores")).has("mail", "done")
    finishing.finish = whole
    assert (
        fixture.restore(tmp_path, *mail, services=finishing).run()
        and verbs(host, "daemon-reload", "reload-or-restart")[-1] == "reload-or-restart dovecot.service"
    )
    assert not fixture.restore(tmp_path, *mail, services=finishing).run() and len(verbs(host, "reload-or-restart")) == 1


def test_servers_are_restarted_when_their_settings_came_also_after_a_cut(tmp_path, host):
    conf = tmp_path / "host" / "my.cnf"
    conf.parent.mkdir()
    conf.write_text("x")
    source = fixture.fake.Memory("near")
    fixture.back_up(source, tmp_path / "store", "system", conf)
    backup = fixture._opened.Backup(source, "web1")
    source.files[source.shots[-1]["id"], "/etc/passwd"] = b""
    conf.unlink()
    made, _found = _restore_plan.plan("r", backup, System(), [], {"classes": ["system"]}, [str(conf)])
    placed = _restore._metadata.mend
    try:
        _restore._metadata.mend = lambda *given, **more: placed(*given, **more) if more.get("marks") is False else fixture.failing(OSError("cut"))()
        with pytest.raises(OSError, match="cut"):
            fixture.restore(tmp_path, made, backup).run()
    finally:
        _restore._metadata.mend = placed
    assert conf.exists()
    restart = _restore_services.Services(restart=["dovecot.service"])
    assert fixture.restore(tmp_path, made, backup, services=restart).run() and verbs(host, "restart") == ["restart dovecot.service"]
