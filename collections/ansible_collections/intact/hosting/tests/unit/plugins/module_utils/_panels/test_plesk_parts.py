# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Plesk drivers read with: descriptions in and out of a signature, hostile XML, rows of psa, dumps of it, and text that is told."""

from __future__ import annotations

import io

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._command import Result
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _plesk_check, _plesk_dump, _plesk_host, _plesk_objects, _plesk_sql, _plesk_xml
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

XML = b'<?xml version="1.0"?>\n<migration-dump><admin><domains><domain name="a.example"><phosting/></domain></domains></admin></migration-dump>\n'


def scan(data, step=None):
    told = _plesk_xml.Scan(_plesk_objects.Reader())
    for start in range(0, len(data), step or max(len(data), 1)):
        told.feed(data[start : start + (step or len(data))])
    return told.result()


def signed(body=XML, boundary=b"----A1", end=True):
    head = b'MIME-Version: 1.0\nContent-Type: multipart/signed; boundary="%s"\nContent-ID: <x@y>\n\nThis is an S/MIME signed message\n\n--%s\n' % (
        boundary,
        boundary,
    )
    tail = b'\n--%s\nContent-Type: application/x-pkcs7-signature; name="smime.p7s"\n\nMIIB\n\n' % boundary
    return head + body + tail + (b"--%s--\n" % boundary if end else b"")


@pytest.mark.parametrize("step", [1, 2, 7, 64, None])
@pytest.mark.parametrize(
    "data, is_signed, signature",
    [
        (XML, False, ""),
        (b"\xef\xbb\xbf" + XML, False, ""),
        (signed(), True, ""),
        (signed().replace(b"\n", b"\r\n"), True, ""),
        (signed(end=False), True, "its closing boundary is missing: it is cut short"),
        (XML + b"-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n", True, ""),
        (XML + b"-----BEGIN PKCS7-----\nMII", True, "it is cut short"),
        (XML + b"garbage", True, "7 bytes that are no signature stand behind the description"),
    ],
)
def test_a_description_comes_out_of_its_signature(data, is_signed, signature, step):
    told = scan(data, step)
    assert (told["why"], told["signed"], told["signature"], told["root"]) == ("", is_signed, signature, "migration-dump")
    assert list(told["objects"]["domain"]) == ["a.example"]


@pytest.mark.parametrize("step", [1, 50, None])
def test_cut_anywhere_it_is_no_description(step):
    for size in range(len(XML.rstrip())):
        assert scan(XML[:size], step)["why"], size
    assert scan(b"")["why"] == "it is empty" and scan(b"PK\x03\x04 no")["why"] == "there is no XML in it"
    assert "no XML begins" in scan(b"x" * 70000)["why"]


BILLION = b"<!DOCTYPE a [<!ENTITY a 'boom'>%s]>" % b"".join(b"<!ENTITY a%d '%s'>" % (n, b"&a%d;" % (n - 1) * 10 if n else b"&a;" * 10) for n in range(30))


@pytest.mark.parametrize(
    "doctype",
    [
        BILLION,
        b"<!DOCTYPE a [<!ENTITY f SYSTEM 'file:///etc/passwd'>]>",
        b"<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://192.0.2.1/x'> %p;]>",
        b"<!DOCTYPE a [<!NOTATION n SYSTEM 'n'><!ENTITY u SYSTEM 'u' NDATA n>]>",
    ],
)
def test_entities_are_refused_before_anything_is_made_of_them(doctype):
    body = XML.replace(b"?>\n", b"?>\n" + doctype, 1).replace(b"<phosting/>", b"<phosting/>&a29;&f;")
    assert "declares entities" in scan(body)["why"]


def test_a_doctype_that_only_names_a_file_is_no_crime():
    assert scan(XML.replace(b"?>\n", b"?>\n<!DOCTYPE migration-dump SYSTEM 'plesk.dtd'>\n", 1))["why"] == ""


def test_depth_and_size_have_an_end(monkeypatch):
    assert "levels" in scan(b"<a>" * 300 + b"</a>" * 300)["why"]
    monkeypatch.setattr(_plesk_xml, "NODES", 50)
    assert "elements" in scan(b"<a>" + b"<b/>" * 60 + b"</a>")["why"]
    # what was read does not count: a server may have any number of domains
    assert scan(b"<a>" + b"<domain name='x.example'><c/><d/></domain>" * 100 + b"</a>")["why"] == ""
    monkeypatch.setattr(_plesk_xml, "TEXT", 100)
    assert "text" in scan(b"<a>" + b"x" * 101 + b"</a>")["why"]


def objects(body, root=b"migration-dump"):
    told = scan(b"<%s>%s</%s>" % (root, body, root))
    assert told["why"] == ""
    return told


NEW = b"""<admin><password type="sym">x</password><resellers><reseller name="res"><clients><client name="cli" contact="C">
 <properties><password type="plain">p</password></properties><limits-and-permissions><limit name="max_dom">7</limit></limits-and-permissions>
 <domains><domain name="a.example"><preferences><domain-alias name="b.example" web="true" mail="false" dns="true"/></preferences>
  <properties><dns-zone><dnsrec src="WWW.a.example." dst="192.0.2.1" type="A" opt=""/><dnsrec src="" dst="m." type="MX" opt="10"/>
   <dnsrec src="x" type="master" dst="y"/></dns-zone></properties>
  <mailsystem><mailusers>
   <mailuser name="ann"><properties><password type="plain">s</password></properties><preferences><mailbox enabled="true"><content>
     <cid type="mailbox" path="mail/ann"><content-file>box.tgz</content-file></cid></content></mailbox>
     <alias>office</alias><redirect enabled="false">no@x.example</redirect></preferences></mailuser>
   <mailuser name="all"><properties/><preferences>
     <mailbox enabled="false"/><mailgroup-member>ann</mailgroup-member><mailgroup-member>far@x.example</mailgroup-member></preferences></mailuser>
  </mailusers></mailsystem>
  <databases><database name="shop" type="mysql"><dbuser name="shop_u"><password type="plain"></password></dbuser>
   <content><cid type="sqldump" path="db"><content-file>d.tgz</content-file></cid></content></database></databases>
  <certificates><certificate name="c"><certificate-data>-- A B --</certificate-data><private-key>k</private-key></certificate></certificates>
  <phosting><preferences><sysuser name="u1"><password type="plain">q</password></sysuser></preferences>
   <ftpusers><ftpuser><sysuser name="u2"/></ftpuser></ftpusers>
   <content><cid type="user-data" path="d"><content-file>u.tgz</content-file></cid></content>
   <sites><site name="blog.a.example">
    <mailsystem><mailusers><mailuser name="bo"><preferences><mailbox/></preferences></mailuser></mailusers></mailsystem></site></sites></phosting>
 </domain></domains></client></clients></reseller></resellers></admin>
<server><certificate name="default"><certificate-data>z</certificate-data></certificate>
 <ext><cid type="ext" path=""><content-file>e.tzst</content-file></cid></ext></server>"""


def test_what_a_new_description_names():
    told = objects(NEW)
    held = told["objects"]
    assert held["customer"] == {
        "admin": {"password_set": "yes"},
        "res": {"type": "reseller", "owner": "admin"},
        "cli": {"type": "client", "owner": "res", "password_set": "yes"},
    }
    assert held["domain"] == {"a.example": {"owner": "cli", "web": "yes", "user": "u1", "webspace": ""}}
    assert held["site"] == {"blog.a.example": {"webspace": "a.example"}} and set(held["mailbox"]) == {"ann@a.example", "bo@blog.a.example"}
    assert held["domain_alias"] == {"b.example": {"domain": "a.example", "web": "true", "mail": "false", "dns": "true"}}
    assert held["dns_zone"] == {"a.example": {"records": ["a.example. MX 10 m.", "www.a.example. A 192.0.2.1"]}}
    assert held["forward"] == {"all@a.example": {"to": ["ann@a.example", "far@x.example"]}} and held["mail_alias"] == {
        "office@a.example": {"mailbox": "ann@a.example"}
    }
    assert held["database"] == {"shop": {"type": "mysql", "domain": "a.example"}} and held["database_user"] == {"shop_u": {"password_set": "no"}}
    assert held["ftp_user"] == {"u1": {"password_set": "yes"}, "u2": {}} and held["limit"] == {"cli/max_dom": {"value": "7"}}
    assert set(held["certificate"]) == {"a.example/c", "server/default"} and held["certificate"]["a.example/c"]["cert"] == _plesk_sql.secret("--AB--")
    assert told["references"] == [
        ("domain", "a.example", "user-data", "d", "u.tgz"),
        ("mailbox", "ann@a.example", "mailbox", "mail/ann", "box.tgz"),
        ("database", "shop", "sqldump", "db", "d.tgz"),
        ("setting", "server", "ext", "", "e.tzst"),
    ]


def test_what_old_descriptions_name():
    eight = b"""<client name="cli"><domain name="a.example"><mailsystem><mailuser name="ann"><password type="plain">p</password>
      <mailbox type="mdir" enabled="true" cid="box"/></mailuser></mailsystem><database name="shop" type="mysql" cid="sql"><dbuser name="u"/></database>
      <phosting cid_docroot="www" cid_cgi="cgi"><sysuser name="s"/><subdomain name="blog" cid_conf="conf"/></phosting></domain></client>"""
    told = objects(eight, b"dump")
    assert told["shape"] == "8" and set(told["objects"]["site"]) == {"blog.a.example"} and told["objects"]["domain"]["a.example"]["user"] == "s"
    assert {(kind, name, file) for kind, name, _what, _path, file in told["references"]} == {
        ("domain", "a.example", "www"),
        ("domain", "a.example", "cgi"),
        ("domain", "blog.a.example", "conf"),
        ("mailbox", "ann@a.example", "box"),
        ("database", "shop", "sql"),
    }
    seven = b"""<sites><domain name="a.example"><user src="cid:home"><login name="own" PW_TYPE="plain" password="p"/></user>
      <user src="cid:box"><login name="ann" password=""/><services><postbox>true</postbox><forwarding><email>x@y.example</email></forwarding></services></user>
      <data_bases name="shop" type="mysql" src="cid:sql"><user><login name="u" password="z"/></user></data_bases></domain></sites>"""
    told = objects(seven, b"psadump")
    assert told["shape"] == "7" and told["objects"]["mailbox"] == {"ann@a.example": {"password_set": "no"}}
    assert told["objects"]["forward"] == {"ann@a.example": {"to": ["x@y.example"]}} and told["objects"]["database_user"] == {"u": {"password_set": "yes"}}
    assert [file for _kind, _name, _what, _path, file in told["references"]] == ["home", "box", "sql"]


def tables(**more):
    base = {"clients": [{"id": "1", "login": "cli"}], "domains": [{"id": "1", "name": "a.example", "cl_id": "1"}], "accounts": [], "mail": [], "data_bases": []}
    return dict(base, **more)


def test_a_row_that_points_to_nothing_is_told():
    rows = tables(
        domains=[{"id": "1", "name": "a.example", "cl_id": "9"}],
        mail=[{"id": "4", "mail_name": "ann", "dom_id": "7", "postbox": "true"}],
        mail_aliases=[{"mn_id": "5", "alias": "office"}],
        ftp_users=[{"dom_id": "1", "sys_user_id": "3"}],
    )
    _objects, lost = _plesk_sql.objects(rows)
    assert [entry["what"] for entry in lost] == [
        "the customer a.example of table domains",
        "the domain ann of table mail",
        "the mail name office of table mail_aliases",
        "the system user ? of table ftp_users",
    ]


class Asked:
    """A database that answers by the beginning of the question."""

    def __init__(self, **tables):
        self.tables, self.refused = tables, ()

    def __call__(self, sql):
        name = next((table for table in self.tables if "`%s`" % table in sql), None)
        if sql == "SHOW TABLES":
            return [(table,) for table in self.tables]
        if name in self.refused and sql.startswith("SELECT"):
            raise IntactError("ERROR 145: %s is crashed" % name)
        if sql.startswith("SHOW COLUMNS"):
            return [(column, "text") for column in self.tables[name][0]]
        return self.tables[name][1]

    def many(self, statements):
        return [self(statement) for statement in statements]


def test_tables_and_columns_that_a_version_lacks_are_not_asked_for():
    asked = Asked(
        clients=(["ID", "login", "extra"], [("1", "cli")]),
        domains=(["id", "name", "cl_id"], [("1", "a.example", "1")]),
        accounts=(["id"], []),
        mail=(["id", "mail_name"], []),
        data_bases=(["id"], []),
        unknown=(["id"], []),
    )
    unlooked = []
    assert _plesk_sql.read(asked, unlooked)["clients"] == [{"id": "1", "login": "cli"}] and not unlooked
    asked.tables["misc"] = (["param", "val"], [])
    asked.refused = ("misc",)
    assert "misc" not in _plesk_sql.read(asked, unlooked) and unlooked == [{"what": "table psa.misc", "why": "ERROR 145: misc is crashed"}]
    asked.refused = ("mail",)
    with pytest.raises(IntactError, match="mail is crashed"):
        _plesk_sql.read(asked, [])
    del asked.tables["domains"]
    with pytest.raises(IntactError, match="no table domains: it is no Plesk's"):
        _plesk_sql.read(asked, [])


ODD = ["", "NULL", "O'Neill \\ \n\t;('", "Grüße \udcff", "1"]


def test_a_dump_of_ours_says_what_the_rows_said():
    rows = [(value.encode("utf-8", "surrogateescape").hex().upper() if value is not None else None, str(number)) for number, value in enumerate([*ODD, None])]

    def query(database, sql):
        assert database == "psa"
        answers = {"SHOW TABLES": [("clients",), ("sessions",)], "SHOW CREATE": [("t", "CREATE TABLE `clients` (\n  `login` varchar(255),\n  `id` int(10)\n)")]}
        answers["SHOW COLUMNS"] = [("login", "varchar(255)", "NO"), ("id", "int(10) unsigned", "NO")]
        return next(answer for start, answer in answers.items() if sql.startswith(start)) if sql.startswith("SHOW") else rows

    out = io.BytesIO()
    assert _plesk_dump.write(query, out) == {"clients": 6, "sessions": 6}
    for step in (1, 13, 10**6):
        told = _plesk_dump.Scan()
        for start in range(0, len(out.getvalue()), step):
            told.feed(out.getvalue()[start : start + step])
        result = told.result()
        assert (
            result["whole"]
            and [row["login"] for row in result["psa"]["clients"]] == [*ODD, ""]
            and [row["id"] for row in result["psa"]["clients"]] == list("012345")
        )
        # a table of which nobody asks anything is not kept
        assert set(result["psa"]) == {"clients"} and result["tables"]["psa.sessions"] == 6


MYSQL = b"""-- MySQL dump 10.11
--
-- Host: localhost    Database: %s
CREATE TABLE `misc` (
  `param` varchar(255) NOT NULL,
  `val` varbinary(255) NOT NULL,
  PRIMARY KEY  (`param`)
) ENGINE=InnoDB;
INSERT INTO `misc` VALUES ('a','b\\'c;d'),('x\\\\',_binary '1,(2)'),(NULL,0x4142);
INSERT INTO `misc` (`val`, `param`) VALUES
('multi','line'),
('it''s','2');
-- Dump completed
"""


def read_dump(data):
    told = _plesk_dump.Scan()
    told.feed(data)
    return told.result()


def test_dumps_of_mysqldump_are_read_row_by_row():
    rows = [("a", "b'c;d"), ("x\\", "1,(2)"), ("", "AB"), ("line", "multi"), ("2", "it's")]
    assert read_dump(MYSQL % b"psa")["psa"] == {"misc": [{"param": param, "val": val} for param, val in rows]}
    assert read_dump(MYSQL % b"psa_not")["psa"] is None, "a customer's table of that name is none of the panel's"
    made = b"CREATE TABLE `clients` (\n  `id` int\n);\n"
    two = b"-- MySQL dump 10.11\n-- Current Database: `mysql`\n" + made + b"-- Current Database: `psa`\n" + made + b"INSERT INTO `clients` VALUES (1);\n"
    assert read_dump(two + b"USE `horde`;\nINSERT INTO `clients` VALUES (2);\n-- Dump completed\n")["psa"] == {"clients": [{"id": "1"}]}
    assert read_dump(b"just a file\n" * 100) is None and read_dump(b"") is None


@pytest.mark.parametrize(
    "text, told",
    [
        ("password=hunter2 x", "password=*** x"),
        ("Password: hunter2", "Password: ***"),
        ("ftp://joe:hunter2@ftp.example/x", "ftp://joe:***@ftp.example/x"),
        ('<password type="plain">hunter2</password>', "***</password>"),
        ("kept as $AES-128-CBC$aa==$bb==", "kept as ***"),
        ("-----BEGIN PRIVATE KEY----- abc", "***"),
        ("a known secret", "a known ***"),
        ("bell \x07", "bell \\x07"),
        ("passwords were checked", "passwords were checked"),
    ],
)
def test_what_is_told_has_no_secret(text, told):
    assert _plesk_host.clean(text, ["secret", ""]) == told


def test_lines_are_the_last_ones_of_both_streams():
    result = Result(("x",), 0, b"one\n\ntwo\n", b"three " + b"x" * 900)
    assert _plesk_host.lines(result, most=2) == ["two", ("three " + "x" * 900)[:400]]


@pytest.mark.parametrize(
    "path, own",
    [
        ("backup_user-data_2611221530.tgz", True),
        ("domains/a/backup_user-data_2611221530.tgz!half.zip", False),
        ("backup_2611221530.tar!domains/a/x.tgz", True),
        ("domains/a/databases/b_1/backup_b_sqldump_2611221530.tgz!b.sql.gz", True),
        ("backup_ext_wp_2611221530.tzst!wp/conf.tgz", True),
        ("a.example.httpdocs!upload.tgz", False),
        ("backup_2611221530.tar!d/backup_user-data_1.tgz!x.zip", False),
    ],
)
def test_which_archives_are_the_backup_s_own(path, own):
    assert _plesk_check.enter(path) is own


@pytest.mark.parametrize(
    "path, told",
    [
        ("backup_info_2611221530.xml", True),
        ("clients/joe/backup_joe_info_2611221530.xml", True),
        ("clients/joe/converted_joe_info_0812121508.xml", True),
        ("dump.xml", True),
        ("info.xml", True),
        (".discovered/backup_info_2611221530/props", False),
        ("domains/a/backup_user-data_2611221530.tgz!httpdocs/info.xml", False),
        ("sitemap.xml", False),
    ],
)
def test_which_members_are_descriptions(path, told):
    assert _plesk_check.described(path) is told


def test_questions_go_in_one_session_and_answers_are_told_apart():
    asked = []

    def answer(argv, stdin):
        asked.append(argv)
        mark = argv[-1].split("'")[1]
        return "%s\n1\ta\\tb\\\\n\n%s\n%s\nNULL\n" % (mark, mark, mark)

    system = FakeSystem({"plesk db": answer})
    ask = _plesk_host.Asker(system)
    assert ask.many(["SELECT 1", "SELECT 2", "SELECT 3"]) == [[("1", "a\tb\\n")], [], [("NULL",)]]
    assert len(asked) == 1 and asked[0][-1].startswith(_plesk_host.NAMES + "START TRANSACTION WITH CONSISTENT SNAPSHOT; ")
    with pytest.raises(IntactError, match="stopped answering in the middle"):
        ask.many(["SELECT 1"])
    assert ask.many([]) == []
    refused = _plesk_host.Asker(FakeSystem({"plesk db": (1, "", "ERROR 1045 (28000): Access denied (using password: YES)\nmore")}))
    with pytest.raises(IntactError, match="refused: ERROR 1045"):
        refused("SELECT 1")
