# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plesk 7.5 to Obsidian against stand-ins of them, whose programs run: each damage is red and names its object, and what is whole is green."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _verify
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import plesk_fixture as fixture

SEEDS = (1, 2)
NEW, EIGHT, NINE, SEVEN = "18.0.62.2", "8.6.0", "9.5.4", "7.5.4"
VERSIONS = (NEW, EIGHT)

# {damage: (switches, [(finding, "kind" of the fixture's object or part of a subject)])}, for every version; {x} is the name of the fixture's object x
DAMAGE = {
    "truncated": ({"truncated": "yes"}, [("panel.export.truncated", "file")]),
    "flipped": ({"flipped": "yes"}, [("panel.export.(corrupt|truncated)", "file")]),
    "disk full": ({"full": "yes"}, [("panel.export.truncated", "file"), ("panel.said", "export")]),
    "exit 0 and no file": ({"nothing": "yes"}, [("panel.export.failed", "file")]),
    "busy": ({"busy": "yes"}, [("panel.export.failed", "file")]),
    "an old manifest": ({"stale": "yes"}, [("panel.object.missing", "database"), ("panel.object.missing", "mailbox")]),
    "entities": ({"bomb": "yes"}, [("panel.export.corrupt", "file")]),
    "an alias altered": ({"altered": "mail_alias:{mail_alias}"}, [("panel.object.missing", "mail_alias {mail_alias}")]),
    "empty dump": ({"empty_dump": "{database}"}, [("panel.dump.empty", "database {database}")]),
    "a dump without rows": ({"silent_dump": "{database}"}, [("panel.dump.empty", "database {database}")]),
    "half a dump": ({"half_dump": "{database}"}, [("panel.dump.incomplete", "database {database}")]),
}
MISSING = "customer domain subdomain domain_alias mailbox forward mail_alias list database database_user certificate ftp_user dns_zone".split()
# what each version calls the parts of its archive
PARTS = {
    NEW: {"box": "mailnames/{box}/", "base": "backup_{database}_sqldump", "site": "domains/{domain}/backup_user-data"},
    EIGHT: {"box": "{mailbox}.mailbox", "base": ".{database}.mysql", "site": "{domain}.httpdocs"},
}
FILES = {
    "a mailbox's content is not there": ({"member": "box"}, [("panel.reference.broken", "mailbox {mailbox}")]),
    "a database's content is not there": ({"member": "base"}, [("panel.reference.broken", "database {database}")]),
    "a site's content is not there": ({"member": "site"}, [("panel.reference.broken", "domain {domain}")]),
    "a site's volume is empty": ({"empty_volume": "site"}, [("panel.object.empty", "domain {domain}")]),
    "a database's volume is empty": ({"empty_volume": "base"}, [("panel.dump.empty", "database {database}")]),
    "a site's volume is broken": ({"inner": "site"}, [("panel.export.truncated", "file .*{domain}")]),
}


def expected(host, wanted):
    return [(ident, part.format(**{name: re.escape(value) for name, value in host.names.items()})) for ident, part in wanted]


def unmet(run, wanted):
    return [(ident, part) for ident, part in wanted if not any(re.fullmatch(ident, i) and re.search(r"\b%s" % part, subject) for i, subject in run.red)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", [NEW, EIGHT, NINE])
@pytest.mark.parametrize("mode", ["settings", "full"])
def test_what_is_whole_is_green(version, mode, seed):
    run = fixture.host(seed, version).export(mode)
    assert (run.red, run.verdict) == ([], "proven")
    assert not fixture.spoken(run.text, fixture.host(seed, version).world)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("switches", [{"warning": "yes"}, {"nonzero": "3"}, {"warning": "yes", "nonzero": "1"}])
def test_a_warning_and_a_nonzero_exit_with_a_good_file_are_green(version, switches, seed):
    run = fixture.host(seed, version).export(**switches)
    assert (run.red, run.verdict) == ([], "proven")
    # the exit is told all the same
    assert ("panel.said" in run.ids) == ("nonzero" in switches)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_red_and_named(version, damage, seed):
    host = fixture.host(seed, version)
    switches, wanted = DAMAGE[damage]
    run = host.export(**{name: value.format(**host.names) for name, value in switches.items()})
    assert run.verdict == "failed"
    assert not unmet(run, expected(host, wanted)), run.red
    assert not fixture.spoken(run.text, host.world)
    assert all(subject.startswith(host.driver.NAME + " ") for _ident, subject in run.red)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_missing_object_is_all_that_is_red(version, kind, seed):
    """Exactly that one, and what is below it."""
    host = fixture.host(seed, version)
    name = host.names[kind]
    run = host.export("settings", missing="%s:%s" % (kind, name))
    assert run.verdict == "failed" and ("panel.object.missing", "%s %s %s" % (host.driver.NAME, kind, name)) in run.red
    assert not fixture.spoken(run.text, host.world)
    below = host.inventory["objects"]
    about = {name, name.rpartition("@")[2] if kind == "mailbox" else name}
    if kind == "customer":
        about |= {domain for domain, entry in below["domain"].items() if entry["owner"] == name}
    if kind == "mailbox":
        about |= {alias for alias, entry in below["mail_alias"].items() if entry["mailbox"] == name}
    owned = {entry for held in below.values() for entry, told in held.items() if {told.get("domain"), told.get("owner"), told.get("webspace")} & about}
    owned |= {user for base in owned & set(below["database"]) | ({name} if kind == "database" else set()) for user in _users(below, base)}
    for ident, subject in run.red:
        what = subject.split(" ", 2)[2]
        assert any(part in what for part in about | owned), (ident, subject)


def _users(objects, base):
    return {user for user, entry in objects["database_user"].items() if base in entry["databases"]}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("damage", FILES)
def test_a_damaged_volume_is_red_and_named(version, damage, seed):
    host = fixture.host(seed, version)
    ((switch, part),) = FILES[damage][0].items()
    names = dict(host.names, box=host.names["mailbox"].partition("@")[0])
    run = host.export(**{switch: PARTS[version][part].format(**names)})
    assert run.verdict == "failed" and not unmet(run, expected(host, FILES[damage][1])), run.red


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_settings_need_no_content(version, seed):
    """A settings-only export is whole without any database's dump; a full one is not."""
    host = fixture.host(seed, version)
    run = host.export("settings", half_dump=host.names["database"])
    assert run.verdict == ("proven" if version == NEW else "failed")


def test_a_full_export_that_left_all_content_out_names_each():
    """As if pleskbackup had made a settings-only backup although it was asked for all."""
    host = fixture.host(1, NEW)
    with host.opened(host.export("settings").path) as opened:
        found = host.driver.verify(opened, host.inventory, "full")
    told = {(finding.id, finding.severity, finding.details["kind"], finding.details["name"]) for finding in found if finding.id == "panel.object.empty"}
    objects = host.inventory["objects"]
    sites = [name for name, entry in objects["domain"].items() if entry["web"] == "yes" and not entry["webspace"]]
    wanted = {("panel.object.empty", "blocker", kind, name) for kind, names in (("database", objects["database"]), ("domain", sites)) for name in names}
    assert sites and told == wanted | {("panel.object.empty", "warning", "mailbox", name) for name in objects["mailbox"]}


@pytest.mark.parametrize("switches, red", [({}, []), ({"crlf": "yes"}, []), ({"unsigned": "yes"}, []), ({"plain": "yes"}, []), ({"open": "yes"}, ["file"])])
def test_every_shape_of_an_old_stream(switches, red):
    run = fixture.host(1, EIGHT).export(**switches)
    assert run.verdict == ("failed" if red else "proven") and all(any(word in subject for word in red) for _ident, subject in run.red)


@pytest.mark.parametrize(
    "switches", [{}, {"plain": "yes"}, {"truncated": "yes"}, {"missing": "database:{database}"}, {"empty_dump": "{database}"}, {"member": "{mailbox}"}]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_plesk_7_is_never_proven_but_its_damage_is_told(switches, seed):
    """Where its description names customers, aliases and zones is not known to anybody whose reader was found."""
    host = fixture.host(seed, SEVEN)
    run = host.export(**{name: value.format(**host.names) for name, value in switches.items()})
    blind = {ident for ident, subject in run.red} == {"panel.unproven"}
    assert (run.verdict, blind) == (("unproven", True) if set(switches) <= {"plain"} else ("failed", False))
    assert ("panel.unproven", "plesk_old customer") in run.red


def test_a_description_of_another_day_is_stale_whatever_it_names():
    run = fixture.host(1, NEW).export("settings", stale="yes")
    old = [subject for ident, subject in run.red if ident == "panel.export.stale"]
    assert any(re.search(r"plesk-settings\.tar!backup_info_\d{10}\.xml\Z", subject) for subject in old) and len(old) > 3


def changed(host, path, name, change):
    """(blockers of the driver's own look, members) of an export whose artefact was changed. Its digest would tell: this is what the panel itself damaged."""
    stored = Path(path) / name
    whole = stored.read_bytes()
    try:
        stored.write_bytes(change(whole))
        with host.opened(path) as opened:
            found = host.driver.verify(opened, host.inventory, "full")
            return [finding for finding in found if finding.severity == "blocker"], opened.contents(name).members
    finally:
        stored.write_bytes(whole)


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


def test_a_bit_that_flips_anywhere_is_found_or_means_nothing():
    """tar has no digest of what it holds: plain text right in it may change, which is what the descriptions' signature is for."""
    host, dice, found, unseen = fixture.host(1, NEW), random.Random(5), 0, set()
    path = host.export().path
    size, (red, before) = (Path(path) / "plesk-full.tar").stat().st_size, changed(host, path, "plesk-full.tar", bytes)
    assert not red
    for _number in range(60):
        place = dice.randrange(size)
        red, after = changed(host, path, "plesk-full.tar", lambda data, place=place: flipped(data, place))
        found += bool(red)
        unseen |= set() if red else {name for name in before if before[name] != after.get(name)}
    assert found > 20 and all(name.endswith(".xml") or ".discovered" in name for name in unseen), unseen


def test_a_signature_that_is_not_whole_is_red():
    host = fixture.host(1, NEW)

    def cut(data):
        # nothing checks what stands in a tar: the last boundary of the signature becomes blanks
        boundary = b"--%s--\n" % data.partition(b'boundary="')[2].partition(b'"')[0]
        assert boundary in data
        return data.replace(boundary, b" " * len(boundary))

    red, _members = changed(host, host.export().path, "plesk-full.tar", cut)
    assert [finding.id for finding in red] == ["panel.export.signature"] and "backup_info_" in red[0].subject


@pytest.mark.parametrize("version, name", [(NEW, "plesk-full.tar"), (EIGHT, "pleskbackup-full.mime")])
def test_cut_at_any_place_it_is_red(version, name):
    host, dice = fixture.host(2, version), random.Random(6)
    path = host.export().path
    # the zeros that fill a tar's last record say nothing
    for share in [0, 0.001, 0.5, 0.999] + [dice.random() for _no in range(20)]:
        assert changed(host, path, name, lambda data, share=share: data[: int(len(data.rstrip(b"\0")) * share)])[0], share


@pytest.mark.parametrize("version", VERSIONS)
def test_a_users_own_broken_archive_is_no_damage(version):
    host = fixture.host(1, version)
    run = host.export()
    assert run.verdict == "proven"
    with host.opened(run.path) as opened:
        name = opened.names("artefact")[0]
        assert any(path.endswith("half-uploaded.zip") for path in opened.contents(name, enter=lambda path: "!" not in path).members)
        assert _verify.broken(opened.contents(name), host.driver.NAME, name), "without the driver's word it would be one"
