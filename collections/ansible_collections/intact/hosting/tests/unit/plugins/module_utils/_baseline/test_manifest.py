# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two manifests compared: one event is one finding, and it names what a person would name."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed, _compare, files


def file(content="a", uid=1001, mode="0644", **more):
    return dict({"type": "file", "uid": uid, "gid": uid, "mode": mode, "size": len(content), "hash": content}, **more)


def directory(uid=1001, mode="0755", **more):
    return dict({"type": "dir", "uid": uid, "gid": uid, "mode": mode}, **more)


BASE = {
    "/home": directory(0),
    "/home/carol": directory(),
    "/home/carol/.profile": file("p"),
    "/home/carol/public_html": directory(acl="user::rwx,user:33:r-x,group::r-x,mask::r-x,other::---"),
    "/home/carol/public_html/index.html": file("index", sparse=True),
    "/home/carol/public_html/a.php": file("aaaa", hardlink="/home/carol/public_html/a.php", links=2),
    "/home/carol/public_html/b.php": file("aaaa", hardlink="/home/carol/public_html/a.php", links=2),
    "/home/carol/public_html/current": {"type": "link", "uid": 1001, "gid": 1001, "target": "releases/1"},
    "/home/carol/bin": directory(),
    "/home/carol/bin/report": file("r", mode="0755", capability="cap_net_bind_service=ep"),
    "/home/dave": directory(1002),
    "/home/dave/notes": file("n", 1002, flags="immutable", xattr={"user.tag": "x"}),
    "/etc": directory(0),
    "/etc/app.conf": file("conf", 0, origin="conffile-unmodified"),
    "/etc/edited.conf": file("mine", 0, origin="conffile-edited"),
}
NAMES = {"owners": {"0": "root", "1001": "carol", "1002": "dave"}, "groups": {"0": "root", "1001": "carol", "1002": "dave"}}


def data(items=None, **more):
    return dict(copy.deepcopy({"items": BASE if items is None else items, "trees": ["/home", "/etc"], "unwalked": [], "together": 20, **NAMES}), **more)


def compared(change):
    after = data()
    change(after["items"])
    return files.compare(data(), after)


def ids(findings):
    return sorted((f.id, f.subject) for f in findings)


def put(path, **attributes):
    def change(items):
        items[path].update(attributes)

    return change


def drop(path, attribute):
    def change(items):
        del items[path][attribute]

    return change


P = "/home/carol/public_html"


@pytest.mark.parametrize(
    ("change", "finding", "subject", "severity", "evidence"),
    [
        (put(P + "/index.html", hash="INDEX"), "files.content.changed", P + "/index.html", "blocker", "same size, other bytes"),
        (put(P + "/index.html", hash="i", size=1), "files.content.changed", P + "/index.html", "blocker", "5 bytes before, 1 now (shrunk)"),
        (put(P + "/index.html", hash="", size=0), "files.content.changed", P + "/index.html", "blocker", "(emptied)"),
        (put(P + "/index.html", mode="0666"), "files.mode.changed", P + "/index.html", "blocker", "0644 before, 0666 now"),
        (put(P + "/index.html", uid=0, gid=0), "files.owner.changed", P + "/index.html", "blocker", "carol:carol before, root:root now"),
        (put(P + "/index.html", uid=0, gid=0, mode="0600", hash="x"), "files.content.changed", P + "/index.html", "blocker", "mode: 0644"),
        (put(P + "/current", target="releases/0"), "files.link.changed", P + "/current", "blocker", "releases/1 before, releases/0 now"),
        (put(P, acl="user::rwx,group::r-x,other::---"), "files.acl.changed", P, "blocker", "lost: user:33:r-x, mask::r-x"),
        (drop(P, "acl"), "files.acl.changed", P, "blocker", "none now"),
        (drop("/home/carol/bin/report", "capability"), "files.capability.lost", "/home/carol/bin/report", "blocker", "cap_net_bind_service=ep before"),
        (put("/home/carol/bin/report", capability="cap_net_raw=ep"), "files.capability.changed", "/home/carol/bin/report", "blocker", "cap_net_raw=ep now"),
        (drop("/home/dave/notes", "flags"), "files.flags.changed", "/home/dave/notes", "warning", "immutable before"),
        (drop("/home/dave/notes", "xattr"), "files.xattr.changed", "/home/dave/notes", "blocker", "user.tag"),
        (drop(P + "/index.html", "sparse"), "files.sparse.lost", P + "/index.html", "warning", "sparse before"),
        (put(P + "/index.html", type="dir"), "files.type.changed", P + "/index.html", "blocker", "a file of 5 bytes"),
        (put(P + "/index.html", state="unreadable: EIO"), "files.unreadable", P + "/index.html", "blocker", "EIO"),
        (lambda i: i.pop(P + "/index.html"), "files.missing", P + "/index.html", "blocker", "a file of 5 bytes"),
        (lambda i: i.pop(P + "/b.php"), "files.missing", P + "/b.php", "blocker", ""),
        (lambda i: i.pop("/etc/app.conf"), "files.missing", "/etc/app.conf", "blocker", ""),
    ],
)
def test_one_change_is_one_finding(change, finding, subject, severity, evidence):
    found = compared(change)
    assert ids(found) == [(finding, subject)]
    assert found[0].severity == severity and evidence in found[0].evidence and found[0].remedy
    assert found[0].details["paths"] == [subject]


def test_no_change_no_finding():
    assert files.compare(data(), data()) == []


def test_a_new_file_in_a_home_is_no_finding_but_a_new_program_with_rights_is():
    assert compared(lambda i: i.update({"/home/carol/new.txt": file("x"), P + "/new.php": file("x")})) == []
    assert ids(compared(lambda i: i.update({"/home/carol/su": file("x", 0, mode="4755")}))) == [("files.new", "/home/carol/su")]
    assert ids(compared(lambda i: i.update({P + "/x.cgi": file("x", mode="0755")}))) == [("files.new", P + "/x.cgi")]


@pytest.mark.parametrize(("origin", "told"), [("local", True), ("leftover", True), ("package", False), ("conffile-unmodified", False)])
def test_new_in_etc(origin, told):
    found = compared(lambda i: i.update({"/etc/new.conf": file("x", 0, origin=origin)}))
    assert ids(found) == ([("files.new", "/etc/new.conf")] if told else [])
    assert all(f.severity == "warning" and f.details["origin"] == origin for f in found)


def test_a_broken_hard_link_names_the_file_that_went_its_own_way():
    def rewrite(items):
        items[P + "/b.php"] = file("bbbb")
        items[P + "/a.php"] = file("aaaa")

    found = compared(rewrite)
    assert ids(found) == [("files.content.changed", P + "/b.php")]
    assert found[0].details["attribute"] == "content,hardlink"

    def copy_apart(items):
        for name in "ab":
            items["%s/%s.php" % (P, name)] = file("aaaa")

    assert [f.id for f in compared(copy_apart)] == ["files.hardlink.broken"]


def test_a_hard_linked_file_changed_in_place_is_told_once():
    def change(items):
        for name in "ab":
            items["%s/%s.php" % (P, name)].update(hash="bbbb")

    assert ids(compared(change)) == [("files.content.changed", P + "/a.php")]


def test_an_emptied_directory_is_one_finding_that_explains_the_site():
    def empty(items):
        for path in list(items):
            if path.startswith(P + "/"):
                del items[path]
        items[P + "/coming-soon.html"] = file("soon")

    found = compared(empty)
    assert ids(found) == [("files.tree.emptied", P)]
    assert "1 other entries are there now" in found[0].evidence
    site = _compare.Finding("sites.body.changed", "blocker", "shop.example", "t", details={"paths": [P, "/etc/nginx/sites-enabled/shop"]})
    assert _compare.covered(found[0].covers[0], site)
    elsewhere = _compare.Finding("sites.body.changed", "blocker", "other.example", "t", details={"paths": ["/home/dave/public_html"]})
    assert not _compare.covered(found[0].covers[0], elsewhere)


def test_a_lost_tree_is_one_finding():
    def remove(items):
        for path in list(items):
            if path == "/home/carol" or path.startswith("/home/carol/"):
                del items[path]

    assert ids(compared(remove)) == [("files.tree.missing", "/home/carol")]


def test_everything_gone_names_the_top():
    def remove(items):
        for path in list(items):
            if path.startswith("/home/"):
                del items[path]

    found = compared(remove)
    assert ids(found) == [("files.tree.emptied", "/home")]
    assert found[0].covers == [{"section": "*", "path": "/home"}]


def test_an_empty_directory_gone_is_a_plain_loss():
    before = data()
    before["items"]["/home/carol/inbox"] = directory()
    found = files.compare(before, data())
    assert ids(found) == [("files.missing", "/home/carol/inbox")] and "directory" in found[0].title


@pytest.mark.parametrize("number", [20, 21, 300])
def test_many_like_changes_below_one_directory_are_told_together(number):
    before, after = data(), data()
    for n in range(number):
        before["items"]["%s/img/%d.jpg" % (P, n)] = file("x%d" % n)
        after["items"]["%s/img/%d.jpg" % (P, n)] = file("y%d" % n)
    found = files.compare(before, after)
    if number <= 20:
        assert len(found) == number
    else:
        assert ids(found) == [("files.content.changed", P + "/img")]
        assert found[0].details["count"] == number and found[0].title.startswith("%d files" % number)


def test_together_is_never_across_origins_so_that_rules_still_match():
    before, after = data(), data()
    for n in range(30):
        origin = "conffile-unmodified" if n % 2 else "conffile-edited"
        before["items"]["/etc/conf.d/%d" % n] = file("x%d" % n, 0, origin=origin)
        after["items"]["/etc/conf.d/%d" % n] = file("y%d" % n, 0, origin=origin)
    found = files.compare(dict(before, together=5), dict(after, together=5))
    assert sorted((f.subject, f.details["origin"], f.details["count"]) for f in found) == [
        ("/etc/conf.d", "conffile-edited", 15),
        ("/etc/conf.d", "conffile-unmodified", 15),
    ]
    rule = {"section": "files", "details": {"origin": "conffile-unmodified"}, "reason": "r"}
    assert [_allowed.allows(rule, f) for f in sorted(found, key=lambda f: f.details["origin"])] == [False, True]


@pytest.mark.parametrize("number", [3, 30])
def test_a_rule_for_new_content_allows_no_other_owner_however_many_there_are(number):
    before = {"/var/lib/app/%d" % n: file("x%d" % n, 0, origin="package") for n in range(number)}
    renewed = {path: dict(item, hash="new") for path, item in before.items()}
    opened = {path: dict(item, mode="0666", uid=33) for path, item in renewed.items()}
    rule = {"section": "files", "details": {"origin": "package"}, "attribute": "content", "reason": "r"}
    assert all(_allowed.allows(rule, f) for f in files.compare(data(before), data(renewed)))
    assert not any(_allowed.allows(rule, f) for f in files.compare(data(before), data(opened)))


@pytest.mark.parametrize(("was", "now", "told"), [("package",) * 2 + (0,), ("package", "package-edited", 1), ("package-edited", "package", 1)])
def test_a_rule_for_a_packages_files_allows_neither_a_damaged_nor_an_edited_one(was, now, told):
    before, after = data({"/var/lib/app/x.php": file("a", 0, origin=was)}), data({"/var/lib/app/x.php": file("b", 0, origin=now)})
    rule = {"section": "files", "details": {"origin": "package"}, "attribute": "content", "reason": "r"}
    left = [f for f in files.compare(before, after) if not _allowed.allows(rule, f)]
    assert len(left) == told and all(("it was edited here" in f.evidence) is (was == "package-edited") for f in left)


def test_an_edit_lost_to_the_packages_version_says_so():
    found = compared(put("/etc/edited.conf", hash="theirs", origin="conffile-unmodified"))
    assert ids(found) == [("files.content.changed", "/etc/edited.conf")]
    assert "it was edited here" in found[0].evidence and found[0].details["origin"] == "conffile-edited -> conffile-unmodified"


def test_a_moved_account_is_one_finding_for_all_its_files():
    after = data(owners={"0": "root", "2001": "carol", "1002": "dave"})
    for path, item in after["items"].items():
        if item["uid"] == 1001 and path != "/home/carol/.profile":
            item["uid"] = 2001
    found = files.compare(data(), after)
    assert ids(found) == [("files.owner.identity", "account carol")]
    assert found[0].details["paths"] == ["/home/carol"] and found[0].details["account"] == "carol"
    assert "carol 1001 before, None 1001 now" in found[0].evidence


def test_an_account_gone_from_passwd_is_told_though_no_number_changed():
    after = data(owners={"0": "root", "1002": "dave"})
    assert ids(files.compare(data(), after)) == [("files.owner.identity", "account carol")]


def test_what_a_limit_kept_closed_is_not_called_lost():
    after = data({path: item for path, item in BASE.items() if not path.startswith("/home/carol/")}, unwalked=["/home/carol"])
    assert files.compare(data(), after) == []


def test_trees_looked_at_only_once_are_not_compared_and_that_is_said():
    found = files.compare(data(), data({p: i for p, i in BASE.items() if not p.startswith("/home")}, trees=["/etc"]))
    assert ids(found) == [("files.unlooked", "/home")]


def test_without_a_hash_the_size_still_counts():
    before, after = data(), data()
    for side in (before, after):
        side["items"][P + "/index.html"].pop("hash")
        side["items"][P + "/index.html"]["state"] = "unhashed"
    assert files.compare(before, after) == []
    after["items"][P + "/index.html"]["size"] = 4
    assert ids(files.compare(before, after)) == [("files.content.changed", P + "/index.html")]


def test_a_file_being_written_is_not_called_changed():
    assert compared(lambda i: i[P + "/index.html"].update(state="changing", size=999) or i[P + "/index.html"].pop("hash")) == []


def test_many_lost_trees_below_one_directory_are_one_finding_that_covers_each():
    before, after = data(), data()
    for number in range(25):
        for path, item in {"": directory(), "/a": file("a"), "/b": file("b")}.items():
            before["items"]["%s/g%02d%s" % (P, number, path)] = item
    found = files.compare(before, after)
    assert ids(found) == [("files.tree.missing", P)]
    assert found[0].details["count"] == 75 and len(found[0].covers) == 25 and found[0].title.startswith("25 whole trees")


def test_what_a_lost_package_takes_along_is_explained_by_it():
    before, after = data(), data()
    for name in ("sudoers", "sudo.conf"):
        before["items"]["/etc/" + name] = file("x", 0, origin="conffile-edited", package="sudo")
    before["items"]["/usr/bin/sudo"] = file("x", 0, mode="4755", origin="package", package="sudo")
    found = files.compare(before, after)
    cause = _compare.Finding("packages.missing", "blocker", "sudo", "t", covers=[{"section": "files", "details": {"package": "sudo"}}])
    assert len(found) == 3
    assert [(f.id, len(f.consequences)) for f in _compare.correlate([*found, cause])] == [("packages.missing", 3)]
    elsewhere = compared(put(P + "/index.html", mode="0600"))
    assert len(_compare.correlate([*elsewhere, cause])) == 2


@pytest.mark.parametrize("claimed, allowed", [([], True), (["/etc/app.conf"], False)])
def test_a_package_that_still_has_a_file_did_not_give_it_up(claimed, allowed):
    rule = {"section": "files", "details": {"origin": "conffile-unmodified"}, "attribute": "missing", "reason": "r"}
    after = data(claimed=claimed)
    del after["items"]["/etc/app.conf"]
    (found,) = files.compare(data(), after)
    assert (found.id, found.subject) == ("files.missing", "/etc/app.conf") and _allowed.allows(rule, found) is allowed


@pytest.mark.parametrize("size, trend", [(0, "emptied"), (3, "shrunk"), (10, "same size, other bytes"), (900, "grown")])
def test_a_rule_can_tell_a_file_that_grew_from_one_that_lost_something(size, trend):
    """The release path lets DokuWiki derive more about a page: an emptied file is none of that."""
    path = "/var/lib/dokuwiki/data/meta/club/boats.meta"
    before, after = data(), data()
    before["items"][path], after["items"][path] = dict(file("x"), size=10), dict(file("y"), size=size)
    found = [f for f in files.compare(before, after) if f.subject == path]
    assert [f.details["trend"] for f in found] == [trend]
    rule = {"section": "files", "subject": "*.meta", "attribute": "content", "details": {"trend": "grown"}, "reason": "r"}
    assert _allowed.allows(rule, found[0]) is (trend == "grown")


def judged(before, after, *rules):
    """(findings left, what was allowed) of two manifests under rules."""
    looks = [{"sections": {"files": {"status": "ok", "data": dict(manifest, summary={})}}} for manifest in (before, after)]
    out = _compare.compare(*looks, {"files": files}, [dict(rule, section="files", reason="r") for rule in rules])
    return [(f.subject, f.details.get("count", 1)) for f in out["findings"]], [
        (e["finding"]["subject"], e["finding"]["details"].get("count", 1)) for e in out["allowed"]
    ]


def test_a_rule_for_a_directorys_name_allows_nothing_in_it():
    before, after = data(), data()
    for n in range(30):
        before["items"]["/etc/app/%d" % n] = file("x%d" % n, 0)
        after["items"]["/etc/app/%d" % n] = file("y%d" % n, 0)
    assert judged(before, after, {"subject": "/etc/app"}) == ([("/etc/app", 30)], [])
    assert judged(before, after, {"subject": "/etc/app/1*"}) == (
        [("/etc/app/%d" % n, 1) for n in (0, 2, *range(20, 30), *range(3, 10))],
        [("/etc/app/%d" % n, 1) for n in (1, *range(10, 20))],
    )
    assert judged(before, after, {"subject": "/etc/app/*", "attribute": "content"}) == ([], [("/etc/app", 30)])


def test_new_content_is_allowed_and_other_permissions_among_many_are_not():
    before, after = data(), data()
    for n in range(30):
        before["items"]["/home/carol/x/%d" % n] = file("x%d" % n)
        after["items"]["/home/carol/x/%d" % n] = file("y%d" % n, mode="0666" if n == 7 else "0644")
    assert judged(before, after, {"subject": "/home/carol/x/*", "attribute": "content"})[0] == [("/home/carol/x/7", 1)]


def test_of_many_lost_trees_only_those_that_a_rule_names_are_allowed():
    before = data(together=5)
    for tree in range(9):
        for n in range(3):
            before["items"]["/etc/app/%d/conf.d/%d" % (tree, n)] = file("x", 0)
        before["items"]["/etc/app/%d/conf.d" % tree] = directory(0)
        before["items"]["/etc/app/%d" % tree] = directory(0)
    before["items"]["/etc/app"], after = directory(0), data(together=5)
    after["items"]["/etc/app"] = directory(0)
    for tree in range(9):
        after["items"]["/etc/app/%d" % tree] = directory(0)
    after["items"].update(("/etc/app/%d/stays" % tree, file("x", 0)) for tree in range(9))
    before["items"].update(("/etc/app/%d/stays" % tree, file("x", 0)) for tree in range(9))
    everything = judged(before, after)
    assert [subject for subject, _count in everything[0]] == ["/etc/app"]
    assert judged(before, after, {"subject": "/etc/app/[0-7]/conf.d", "id": "files.tree.missing"})[0] == [("/etc/app/8/conf.d", 4)]
    assert judged(before, after, {"subject": "/etc/app/*/conf.d", "id": "files.tree.missing"})[0] == []
