# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Five names behind nginx: static files, WordPress, DokuWiki, a guest book over SQLite, and redirects only."""

from __future__ import annotations

import glob
import os
import sqlite3

import static_site

import lab

SITES = ("www.hilltop.test", "old.hilltop.test", "blog.northwind.test", "wiki.harbour.test", "guests.harbour.test")
WIKI_PAGES = {
    "start": "====== Harbour Sailing Club ======\n\nWelcome. See [[club:rules]], [[club:boats]] and {{:pier.png|the pier}}.\n",
    "club/rules": "====== Rules ======\n\n  * Life jackets on.\n  * Tie knots twice.\n\nApproved in 2019.\n",
    "club/boats": "====== Boats ======\n\n^ Name ^ Built ^\n| Möwe | 1978 |\n| Lütt Deern | 2003 |\n",
    "club/minutes/2023": "====== Minutes 2023 ======\n\nPresent: 14 members.\n",
    "knots": "====== Knots ======\n\n===== Bowline =====\n\nThe rabbit comes out of the hole.\n",
    "sidebar": "  * [[start]]\n  * [[club:rules]]\n  * [[knots]]\n",
}
WIKI_LOCAL = """<?php
/*
 * DokuWiki of the sailing club
 */
$conf['title'] = 'Harbour Sailing Club';
$conf['license'] = 'cc-by-sa';
$conf['useacl'] = 1;
$conf['superuser'] = '@admin';
$conf['userewrite'] = 1;
$conf['useslash'] = 1;
$conf['updatecheck'] = 0;
$conf['sidebar'] = 'sidebar';
$conf['dmode'] = 0750;
"""
# 1x1 pixel
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c626001000000ffff03000006000557bfabd40000000049454e44ae426082"
)


def pools() -> None:
    version = os.path.basename(sorted(glob.glob("/etc/php/[0-9]*"))[0])
    placed = [lab.put(f"/etc/php/{version}/fpm/pool.d/{pool.name}", pool.read_bytes()) for pool in sorted((lab.TREE / "etc/php/fpm/pool.d").iterdir())]
    lab.service(f"php{version}-fpm.service", restart=any(placed))


def wordpress() -> None:
    lab.place("etc/wordpress/config-blog.northwind.test.php", 0o640, "root:northwind")
    lab.folder("/var/lib/wordpress/wp-content/themes/northwind", 0o755, "northwind:northwind")
    lab.place_all("var/lib/wordpress/wp-content/themes/northwind", 0o644, "northwind:northwind")
    lab.folder("/var/lib/wordpress/wp-content/uploads", 0o755, "northwind:northwind")
    script = str(lab.TREE.parent / "wordpress_fill.php")
    # PHP writes its notices to standard output; only our own line means a change.
    if "changed: " in lab.run("php", "-d", "display_errors=stderr", script):
        lab.changed("WordPress of blog.northwind.test")
    upload = "/var/lib/wordpress/wp-content/uploads/2013/05"
    lab.folder(upload, 0o755, "northwind:northwind")
    lab.put(f"{upload}/mast.png", PNG, 0o644, "northwind:northwind", lab.EPOCH)


def wiki() -> None:
    lab.put("/etc/dokuwiki/local.php", WIKI_LOCAL, 0o644, "root:www-data")
    acl = "# acl.auth.php\n*\t@ALL\t1\n*\t@user\t8\n"
    lab.put("/var/lib/dokuwiki/acl/acl.auth.php", acl, 0o600, "www-data:root")
    hashed = lab.run("openssl", "passwd", "-1", "-salt", "labseed0", "lab-captain").strip()
    users = f"# users.auth.php\ncaptain:{hashed}:Captain:captain@harbour.test:admin,user\n"
    lab.put("/var/lib/dokuwiki/acl/users.auth.php", users, 0o600, "www-data:root")
    pages = "/var/lib/dokuwiki/data/pages"
    for name, text in WIKI_PAGES.items():
        lab.folder(os.path.dirname(f"{pages}/{name}.txt"), 0o750, "www-data:www-data")
        lab.put(f"{pages}/{name}.txt", text, 0o644, "www-data:www-data", lab.EPOCH)
    if lab.put("/var/lib/dokuwiki/data/media/pier.png", PNG, 0o644, "www-data:www-data", lab.EPOCH):
        lab.run("runuser", "-u", "www-data", "--", "php", "/usr/share/dokuwiki/bin/indexer.php", "-q")


def guest_book() -> None:
    home = "/home/harbour/guests"
    lab.folder(home, 0o755, "harbour:harbour")
    lab.place("home/harbour/guests/index.php", 0o644, "harbour:harbour")
    path = f"{home}/guests.sqlite"
    if os.path.exists(path):
        return
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, written TEXT NOT NULL, name TEXT NOT NULL, words TEXT, stamp BLOB)")
        rows = [(f"2023-{1 + n % 12:02d}-15 10:00:00", f"Guest {n}", None if n % 9 == 0 else f"Ahoi Nº {n} ⛵", bytes([n % 256]) * 8) for n in range(1, 251)]
        database.executemany("INSERT INTO entry (written, name, words, stamp) VALUES (?, ?, ?, ?)", rows)
    database.close()
    os.chown(path, *lab.ids("harbour:harbour"))
    lab.changed("SQLite guest book")


def nginx() -> None:
    conf = "/etc/nginx/nginx.conf"
    with open(conf, encoding="utf-8") as source:
        text = source.read()
    edited = text.replace("worker_connections 768;", "worker_connections 4096;").replace("# server_tokens off;", "server_tokens off;")
    fresh = lab.put(conf, edited)
    fresh |= lab.place("etc/nginx/snippets/hosting-tls.conf")
    for site in SITES:
        fresh |= lab.place(f"etc/nginx/sites-available/{site}")
        fresh |= lab.link(f"/etc/nginx/sites-enabled/{site}", f"/etc/nginx/sites-available/{site}")
    lab.run("nginx", "-t")
    lab.service("nginx.service", restart=fresh)


def main() -> None:
    static_site.main()
    pools()
    wordpress()
    wiki()
    guest_book()
    nginx()


if __name__ == "__main__":
    main()
