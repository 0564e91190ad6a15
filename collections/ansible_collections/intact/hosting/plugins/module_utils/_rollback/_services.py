# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What writes for customers rests while the host goes back: nothing may be taken in that nobody saves."""

from __future__ import annotations

import fnmatch

# Dovecot answers where mailboxes are, and rests after the look; databases are dumped, and rest with the reboot.
WRITERS = (
    "postfix*",
    "exim4*",
    "sendmail*",
    "opensmtpd*",
    "nginx*",
    "apache2*",
    "httpd*",
    "lighttpd*",
    "caddy*",
    "php*-fpm*",
    "php-fpm*",
    "proftpd*",
    "vsftpd*",
    "pure-ftpd*",
    "cron",
    "crond",
    "atd",
    "anacron",
    "mailman*",
    "courier-*",
    "fetchmail*",
    "uwsgi*",
    "gunicorn*",
    "tomcat*",
)
READERS = ("dovecot*",)
SUFFIXES = (".service", ".socket", ".timer")


def active(place, patterns):
    """Active units that match, sockets and timers first: they would start their service again."""
    said = place.run(["systemctl", "list-units", "--type=service,socket,timer", "--state=active", "--plain", "--no-legend"], check=False)
    names = [line.split()[0] for line in said.text.splitlines() if line.split()]
    found = [n for n in names if any(fnmatch.fnmatchcase(n, p + s) for p in patterns for s in SUFFIXES)]
    return sorted(found, key=lambda name: (name.endswith(".service"), name))


def stop(place, units):
    """Stop them."""
    if units:
        place.run(["systemctl", "stop", "--", *units], timeout=600, check=False)


def start(place, units):
    """Start them again."""
    if units:
        place.run(["systemctl", "start", "--", *units], timeout=600, check=False)
