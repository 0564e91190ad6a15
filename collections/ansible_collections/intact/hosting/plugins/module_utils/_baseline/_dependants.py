# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which findings of other sections a stopped daemon explains: data, so that a new daemon is one line."""

from __future__ import annotations

import re

# unit name pattern -> sections whose answers come from it
ANSWERS_FOR = (
    (r"(nginx|apache2|httpd|lighttpd|caddy|haproxy|lshttpd)\.service", ("sites", "tls")),
    (r"(php[0-9.]*-fpm|uwsgi|gunicorn).*\.service", ("sites",)),
    (r"(mariadb|mysql|mysqld)(@.*)?\.service", ("databases", "sites")),
    (r"postgresql(@.*)?\.service", ("databases", "sites")),
    (r"(postfix(@.*)?|exim4|sendmail)\.service", ("queue", "tls")),
    (r"dovecot\.(service|socket)", ("mail", "tls")),
    (r"(named|bind9|nsd|knot|pdns)\.service", ("dns",)),
    (r"mailman3?(-web)?\.service", ("lists",)),
)


# Names that other sections use in details.paths for a daemon whose unit carries a version.
FAMILIES = ((r"php[0-9.]*-fpm.*\.service", "service:php-fpm"), (r"postgresql(@.*)?\.service", "service:postgresql"))


def dependants(unit):
    """covers entries for what cannot answer while this unit is down: findings that name it in details.paths, and sections nobody could ask."""
    out = [{"section": "*", "path": "service:" + unit}]
    out += [{"section": "*", "path": name} for pattern, name in FAMILIES if re.match("^(?:%s)$" % pattern, unit)]
    sections = next((sections for pattern, sections in ANSWERS_FOR if re.match("^(?:%s)$" % pattern, unit)), ())
    return out + [{"section": section, "id": section + ".unread"} for section in sections]
