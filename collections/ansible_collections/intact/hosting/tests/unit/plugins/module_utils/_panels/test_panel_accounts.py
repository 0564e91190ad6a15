# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The small files and the words of cPanel and DirectAdmin, as tables: what is read in them, and what may not be."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._command import Result
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    _accounts,
    _cpanel_files,
    _cpanel_said,
    _cpanel_verify,
    _directadmin_files,
    _mysql_look,
)

STAMP = "[2019-07-06 03:51:27 -0700] "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\nmain_domain: a.example\n", {"main_domain": "a.example"}),
        ("main_domain: 'a.example'\nparked_domains: []\naddon_domains: {}\n", {"main_domain": "a.example", "parked_domains": [], "addon_domains": {}}),
        ("sub_domains:\n  - x.a.example\n  - y.a.example\n", {"sub_domains": ["x.a.example", "y.a.example"]}),
        ("sub_domains: \n- x.a.example\n", {"sub_domains": ["x.a.example"]}),
        ("addon_domains: \n  b.example: b.a.example\n", {"addon_domains": {"b.example": "b.a.example"}}),
        ("documentroot: /home/a/www: odd\n# comment\n", {"documentroot": "/home/a/www: odd"}),
        ("", {}),
    ],
)
def test_userdata(text, expected):
    assert _accounts.userdata(text.encode()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("; nothing\n$TTL 1\n", 0),
        ("@ IN SOA ns. root. (\n 1 ; serial\n 2 3 4 5 )\n@ IN NS ns.\n", 1),
        ("@ IN SOA ns. root. 1 2 3 4 5\nwww IN A 192.0.2.1\n\nmail IN A 192.0.2.2 ; both\n", 2),
        ('@ IN TXT "v=spf1 ; (not a comment"\n@ IN TXT ( "a"\n "b" )\n', 2),
    ],
)
def test_records_of_a_zone(text, expected):
    assert _accounts.records(text.encode()) == expected


def test_a_crontab_tells_when_and_whose_and_never_what():
    found = _accounts.crontab("ann", ["MAILTO=ann@x", "# no", "", "@daily /bin/a --password=geheim", "*/5 * * * * /bin/b 'x=y'", "garbage"])
    assert [name.split(" #")[0] for name in found] == ["ann: MAILTO", "ann: @daily", "ann: */5 * * * *", "ann: unreadable"]
    assert "geheim" not in repr(found) and all(entry["owner"] == "ann" and entry["command"].startswith("sha256:") for entry in found.values())
    # another command at the same time is another job
    assert set(_accounts.crontab("ann", ["@daily /bin/a"])) != set(_accounts.crontab("ann", ["@daily /bin/b"]))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ann@a.example, bob", ["ann@a.example", "bob"]),
        ('"|/bin/robot --token=geheim"', None),
        ("|/bin/robot --token=geheim, ann", None),
        ("/home/ann/geheim", None),
        (':fail: "geheim"', None),
        ("nobody-|geheim", None),
        (":blackhole:", None),
    ],
)
def test_targets_of_an_alias(text, shown):
    found = _accounts.targets(text)
    assert found and "geheim" not in repr(found)
    assert shown is None or found == shown
    assert _accounts.targets(text) == found and _accounts.targets(text + ",more@x") != found


@pytest.mark.parametrize(
    "text",
    [
        "GRANT USAGE ON *.* TO 'a'@'b' IDENTIFIED BY PASSWORD '*462366917EEDD1970A48E87D8EF59EB67D2CA26F'",
        "CREATE USER a IDENTIFIED WITH 'mysql_native_password' AS '*462366917EEDD1970A48E87D8EF59EB67D2CA26F'",
        "user:$6$salt$462366917EEDD1970A48E87D8EF59EB67D2CA26F:1",
        "mysqldump --password=462366917EEDD1970A48E87D8EF59EB67D2CA26F shop",
        "mysql -p462366917EEDD1970A48E87D8EF59EB67D2CA26F shop",
        "https://ann:462366917EEDD1970A48E87D8EF59EB67D2CA26F@backup.example/",
        "passwd=462366917EEDD1970A48E87D8EF59EB67D2CA26F&path=x",
        "api_key: 462366917EEDD1970A48E87D8EF59EB67D2CA26F",
    ],
)
def test_what_is_said_is_redacted(text):
    assert "462366917EEDD1970A48E87D8EF59EB67D2CA26F" not in _accounts.redact(text) and "***" in _accounts.redact(text)


def test_what_is_harmless_stays_as_it_was_said():
    for text in (
        STAMP + "md5sum is: d10fac83b5bef54301b8bc0627f60812",
        "alice_shop: mysqldump: Got error: 2002",
        "Performing \u201cPassword\u201d component....",
    ):
        assert _accounts.redact(text) == text


# The shape of the published transcript of 2019: stamps in the middle of lines, lines of dots, lines with a stamp and nothing else.
REAL = (
    STAMP + "pkgacct started.\n" + STAMP + "pkgacct version 10 - user : cpuser1 - tarball: 1 - target mysql : default - split: 0\n"
    "%sCopying Reseller Config...%sDone\n%sStoring mysql dbs............\ncpuser1_db1.........\n.........\n%s(1070785537 bytes) \n"
    "cpuser1_db3%s(14426511 bytes) \n%sPerforming \u201cPassword\u201d component....\n%spkgacctfile is: /home/b/cpmove-cpuser1.tar.gz\n"
    "%smd5sum is: d10fac83b5bef54301b8bc0627f60812\n%s\n%ssize is: 512618589\n%s\n%shomesize is: 41713664\n%spkgacct completed\n" % ((STAMP,) * 13)
)


def test_a_transcript_as_a_real_one_was():
    told = _cpanel_said.package(REAL)
    assert told == ("cpuser1", True, "/home/b/cpmove-cpuser1.tar.gz", "d10fac83b5bef54301b8bc0627f60812", 512618589, ())
    assert not _cpanel_said.package(REAL.replace("pkgacct completed", "")).ended
    assert _cpanel_said.package("").md5 == "" and _cpanel_said.package("").size == -1


@pytest.mark.parametrize(
    ("line", "ident"),
    [
        ("Unable to get user id for user \u201cx\u201d", "panel.said"),
        ("Could not load user data", "panel.said"),
        ("copying root is not allowed", "panel.said"),
        ("pkgacct failed to copy the home", "panel.said"),
        ("could not use daily backup", "panel.said"),
        ("bailing out", "panel.said"),
        ("pkgacct exiting with error code 9", "panel.said"),
        ("REMOTE_PASSWORD is missing", "panel.said"),
        ("no domain name for alice", "panel.said"),
        ("a hook denied pkgacct", "panel.said"),
        ("could not open /home/alice/x: Permission denied", "panel.said"),
        ("Could not rename a to b", "panel.said"),
        ("unable to fork: no memory", "panel.said"),
        ("failure dumping alice_shop", "panel.said"),
        ("the file is not valid XML", "panel.said"),
        ('alice_shop: mysqldump: Couldn\'t find table: "x"', "panel.said"),
        ("mysqldump failed -- database may be corrupt", "panel.said"),
        ("\u201cMysql\u201d failed with an error", "panel.said"),
        ("failed to generate metadata", "panel.said"),
        ("mysqladmin: connect to server failed", "panel.said"),
        ("ERROR: something", "panel.said"),
        ("mysqldump: Got error: 2002: Can't connect to local MySQL server through socket", "panel.database.refused"),
        ("Error while connecting to MySQL: (XID jrnw8w) The system failed", "panel.database.refused"),
        ("gtar: x: Cannot write: No space left on device", "panel.space"),
        ("Performing \u201cPassword\u201d component....", None),
        ("...mysqldump version: 5.6.44...", None),
        ("warn: a record type that is not known", None),
        ("homesize is: 41713664", None),
        ("No custom components to perform.", None),
        ("Fixing up EA4 .htaccess blocks: Done.", None),
    ],
)
def test_words_by_which_cpanel_itself_throws_an_archive_away(line, ident):
    assert [found for found, _line in _cpanel_said.complaints([line])] == ([ident] if ident else [])


def test_a_complaint_is_about_the_database_that_it_names():
    said = [("panel.database.refused", "alice_shop2: 2002"), ("panel.database.refused", "alice_shop: 2002"), ("panel.said", "bailing out password=geheim")]
    found = _cpanel_said.told("cpanel", "alice", ["alice_shop", "alice_shop2", "alice"], said, "x")
    assert [f.subject for f in found] == ["cpanel database alice_shop2", "cpanel database alice_shop", "cpanel customer alice"]
    assert "geheim" not in repr(found)


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("Restored the domains.\nAccount Restore Complete\n", False),
        ("0 failed, 12 done\nwithout errors\nErrors: 0\n", False),
        ("Mysql: the module failed\n", True),
        ("You may not force Restricted Restore.\n", True),
        ("The archive could not be found\n", True),
    ],
)
def test_words_of_a_restore(text, failed):
    assert bool(_cpanel_said.restored(text)) == failed


@pytest.mark.parametrize(
    ("out", "rc", "data", "why"),
    [
        ('{"data": {"acct": []}, "metadata": {"result": 1, "reason": "OK"}}', 0, {"acct": []}, ""),
        ('{"data": {"acct": []}, "metadata": {"result": "1"}}', 0, {"acct": []}, ""),
        ('{"data": {"acct": []}, "metadata": {"result": 1}}', 1, None, "no reason (status 1)"),
        ('{"data": {}, "metadata": {"result": 0, "reason": "Nope"}}', 0, None, "Nope (status 0)"),
        ('{"data": {}, "metadata": {"result": 0, "reason": "Nope"}}', 1, None, "Nope (status 1)"),
        ('{"status": 0, "statusmsg": "Permission Denied: listaccts"}', 0, None, "Permission Denied"),
        ("Unknown app", 0, None, "no JSON"),
        ("[]", 0, None, "no object"),
        ("", 127, None, "no JSON (status 127)"),
    ],
)
def test_an_answer_counts_by_its_result_not_by_its_status(out, rc, data, why):
    found, told = _cpanel_said.answer(Result(("whmapi1",), rc, out.encode(), b""))
    assert found == data and why in told and bool(told) == (data is None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("cpmove-alice/cp/alice", "cp/alice"),
        ("./alice/cp/alice", "cp/alice"),
        ("backup-11.22.2026_15-30-00_alice/mysql/a.sql", "mysql/a.sql"),
        ("cpmove-alice/homedir/etc/x/passwd", "homedir/etc/x/passwd"),
        ("cpmove-alice/homedir.tar!./etc/x/passwd", "homedir/etc/x/passwd"),
        ("cpmove-alice/homedir.tar!etc/x/passwd", "homedir/etc/x/passwd"),
        ("cpmove-alice/homedir/.hidden", "homedir/.hidden"),
    ],
)
def test_where_a_member_lies_in_its_account(path, expected):
    assert _cpanel_verify.within(path) == expected


@pytest.mark.parametrize(
    ("name", "user"),
    [
        ("cpmove-alice.tar.gz", "alice"),
        ("alice.tar.gz", "alice"),
        ("backup-11.22.2026_15-30-00_alice.tar.gz", "alice"),
        ("cpmove-alice.tar", "alice"),
        ("alice.transcript", None),
        ("../cpmove-alice.tar.gz", None),
    ],
)
def test_whose_archive_a_name_says(name, user):
    found = _cpanel_verify.ARCHIVE.match(name)
    assert (found.group(1) if found else None) == user
    assert _cpanel_verify.archives([name, "server.tar", "home-alice.tar"]) == ([name] if user else [])


def test_grants_in_cpanels_old_words():
    text = (
        "-- cPanel mysql backup\nGRANT USAGE ON *.* TO 'app'@'localhost' IDENTIFIED BY PASSWORD '*AA';\n"
        "GRANT USAGE ON *.* TO 'app'@'10.0.0.%' IDENTIFIED BY PASSWORD '*AA';\nGRANT SELECT, INSERT ON `alice\\_shop`.* TO 'app'@'localhost';\n"
        "GRANT USAGE ON *.* TO 'new'@'localhost' IDENTIFIED BY PASSWORD '$A$005$x';\nGRANT ALL PRIVILEGES ON *.* TO 'new'@'localhost';\n"
    )
    found = _cpanel_files.account("alice", {"cp/alice": b"USER=alice\nDNS=a.example\n", "mysql.sql": text.encode()})["database_user"]
    assert found["app"]["hosts"] == ["10.0.0.%", "localhost"] and found["app"]["databases"] == ["alice_shop"] and len(found["app"]["passwords"]) == 1
    # a hash of a newer kind is written otherwise by each route: it is not compared
    assert found["new"]["passwords"] is None and found["new"]["databases"] == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, (None, None)),
        (b"no json", (None, None)),
        (b"{}", (None, None)),
        (b'{"MYSQL": {"owner": "bob", "dbs": {"x": ""}}}', (None, None)),
        (b'{"MYSQL": {"owner": "alice"}}', ([], [])),
        (b'{"MYSQL": {"owner": "alice", "dbs": {"a_b": "h"}, "noprefix": {"odd": ""}, "dbusers": {"u": {}}}}', (["a_b", "odd"], ["u"])),
    ],
)
def test_a_map_that_does_not_answer_is_not_one_without_databases(data, expected):
    assert _cpanel_files.mapped("alice", data) == expected


def test_directadmins_own_formats():
    held = {
        "backup/user.conf": b"username=mina\nusertype=user\ncreator=rita\n",
        "backup/a.example/domain.conf": b"active=yes\nphp1_select=2\n",
        "backup/a.example/ftp.passwd": b"up@a.example=passwd=%246%24salt%24a+b&path=/home/mina/x&type=custom\nmina@a.example=passwd=x&path=/home/mina\n",
        "backup/a.example/email/passwd": b"post:$6$x:1:1::/x:/bin/false\nbare\n",
        "backup/a.example/email/majordomo/lists/crew": b"a@x\nb@x\n",
        "backup/a.example/email/majordomo/lists/crew.config": b"x = y\n",
        "backup/mina_shop.conf": b"accesshosts=0=localhost\napp=select_priv=Y&passwd=%2AAA\n",
    }
    found = _directadmin_files.account("mina", held)
    assert sorted(found["ftp_user"]) == ["up@a.example"] and found["ftp_user"]["up@a.example"]["password"] == _accounts.hashed("$6$salt$a+b")
    assert sorted(found["mailbox"]) == ["bare@a.example", "post@a.example"] and sorted(found["list"]) == ["crew@a.example"]
    assert found["database_user"]["app"] == {"owner": "mina", "databases": ["mina_shop"], "passwords": _accounts.native({"*AA"})}
    assert _directadmin_files.account("mina", {}) == {}


def test_options_of_an_archive():
    assert _directadmin_files.packed({}) is None
    assert _directadmin_files.packed({"backup/backup_options.list": b"email\ndatabase_data_aware\ntrash=yes\n"}) == {"email", "database_data", "trash"}


class Server:
    """Answers of a database server, one of whose tables can't be read."""

    def __init__(self, broken=()):
        self.asked, self._broken = [], broken

    def __call__(self, database, sql):
        self.asked.append(sql)
        if sql == _mysql_look.NAMES:
            return [("good",), ("bad",), ("mysql",), ("empty",)]
        if sql == _mysql_look.TABLES:
            return [
                ("good", "t", "BASE TABLE"),
                ("good", "v", "VIEW"),
                ("bad", "b", "BASE TABLE"),
                ("empty", "e", "SYSTEM VERSIONED"),
                ("mysql", "user", "BASE TABLE"),
            ]
        if any("`%s`" % name in sql for name in self._broken):
            raise IntactError("Lost connection to MySQL server during query (2013)")
        return [(part.split("'")[1], "0" if "`empty`" in part else "1") for part in sql.split(" UNION ALL ")]


def test_one_broken_table_does_not_hide_the_other_databases():
    whole = Server()
    assert {name: entry["rows"] for name, entry in _mysql_look.databases(whole).items()} == {"good": True, "bad": True, "empty": False}
    assert len(whole.asked) == 3
    found = _mysql_look.databases(Server(broken=("b",)))
    assert {name: (entry["rows"], bool(entry["error"])) for name, entry in found.items()} == {
        "good": (True, False),
        "bad": (None, True),
        "empty": (False, False),
    }
    assert found["good"]["tables"] == ["t"]


@pytest.mark.parametrize(
    ("tables", "live", "expected"),
    [
        ({"a": 2, "b": 0}, {"tables": 2, "names": ["a", "b"], "rows": "some"}, []),
        ({"a": 0}, {"tables": 1, "names": ["a"], "rows": 0}, []),
        ({"a": 0}, {"tables": 1, "names": ["a"], "rows": "some"}, ["panel.dump.empty"]),
        ({"a": 1}, {"tables": 2, "names": ["a", "b"], "rows": "some"}, ["panel.dump.incomplete"]),
        ({}, {"tables": 1, "names": ["a"], "rows": 0}, ["panel.dump.empty"]),
        ({}, {"tables": 0, "names": [], "rows": 0}, []),
        # the server did not tell: what the dump says is all there is
        ({"a": 0}, {}, []),
    ],
)
def test_a_dump_against_what_the_server_told(tables, live, expected):
    result = {"whole": True, "why": "", "tables": tables, "bytes": 100, "server": "mysql"}
    found = _mysql_look.dumps("cpanel", {"shop": result}, {"shop": live})
    assert [f.id for f in found] == expected and all(f.subject == "cpanel database shop" for f in found)
    assert not expected or expected != ["panel.dump.incomplete"] or found[0].evidence == "b"
