# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Content volumes of the stand-in's backups, and the signature around a description."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import shutil
import subprocess
import urllib.parse

from stand_ins.kit import tar_bytes

# the first line of what MariaDB's program writes today is a comment (facts 1.7)
SANDBOX = "/*M!999999\\- enable the sandbox mode */ \n"


def pem(text):
    """A certificate as the description holds it: the database's is URL-encoded."""
    return urllib.parse.unquote_plus(text)


def zstd():
    """Whether volumes can be .tzst here."""
    return bool(shutil.which("zstd"))


def packed(data):
    """A tar in zstd, or in gzip where there is no zstd."""
    if zstd():
        return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout
    return gzip.compress(data)


def nested(name, content):
    """A tar in zstd with a tar in gzip in it: three levels with the export's own."""
    return packed(tar_bytes({"%s/" % name: None, "%s/conf.tgz" % name: tar_bytes({"settings.json": content}, "gz"), "%s/version" % name: b"1\n"}))


def dump(database, tables, rows=True, whole=True):
    """A dump of one database as mysqldump writes it."""
    out = [SANDBOX, "-- MariaDB dump 10.19  Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)\n--\n-- Host: localhost    Database: %s\n--\n\n" % database]
    for table, (columns, held) in tables.items():
        declared = ",\n".join("  `%s` text DEFAULT NULL" % column for column in columns)
        out.append("DROP TABLE IF EXISTS `%s`;\nCREATE TABLE `%s` (\n%s\n) ENGINE=InnoDB;\n" % (table, table, declared))
        if held and rows:
            out.append("LOCK TABLES `%s` WRITE;\nINSERT INTO `%s` VALUES\n%s;\nUNLOCK TABLES;\n" % (table, table, ",\n".join(values(row) for row in held)))
    text = "".join(out)
    return (text + "\n-- Dump completed on 2026-11-22 15:30:00\n" if whole else text[: len(text) * 3 // 4]).encode("utf-8", "surrogateescape")


def values(row):
    """A row of an INSERT."""
    quoted = ["NULL" if one is None else "'%s'" % one.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t") for one in row]
    return "(%s)" % ",".join(quoted)


def signed(xml, key):
    """The description in a signature. The wrapper's shape is guessed (S/MIME); that there is one, and that only this server can check it, is from the facts."""
    raw = xml.encode("utf-8")
    digest = hmac.new(key, raw, hashlib.sha256).digest()
    boundary = "----%s" % hashlib.sha256(raw).hexdigest()[:32].upper()
    head = 'MIME-Version: 1.0\nContent-Type: multipart/signed; protocol="application/x-pkcs7-signature"; micalg="sha-256"; boundary="%s"\n\n' % boundary
    head += "This is an S/MIME signed message\n\n--%s\n" % boundary
    tail = '\n--%s\nContent-Type: application/x-pkcs7-signature; name="smime.p7s"\nContent-Transfer-Encoding: base64\n\n%s\n\n--%s--\n'
    return head.encode() + raw + (tail % (boundary, base64.encodebytes(digest * 8).decode().strip(), boundary)).encode()


def unsigned(data, key):
    """(description, whether the signature is this server's)."""
    boundary = data.partition(b'boundary="')[2].partition(b'"')[0]
    parts = data.split(b"--%s\n" % boundary)
    if not boundary or len(parts) < 3:
        return data, False
    raw, encoded = parts[1][:-1], parts[2].partition(b"base64")[2].partition(b"\n--")[0]
    try:
        said = base64.b64decode(b"".join(encoded.split()))
    except ValueError:
        said = b""
    return raw, hmac.compare_digest(said[:32], hmac.new(key, raw, hashlib.sha256).digest())
