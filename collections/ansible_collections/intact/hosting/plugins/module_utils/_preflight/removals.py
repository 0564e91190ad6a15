# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What the upgrade would remove, and whether a customer would notice (PF44)."""

from __future__ import annotations

import fnmatch

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import accepted

# Web, mail, databases, DNS, lists, access, kernel, init and network: without these a customer or the operator is locked out.
PROTECTED = (
    "openssh-server",
    "systemd",
    "systemd-sysv",
    "init",
    "udev",
    "dbus",
    "linux-image-*",
    "grub-*",
    "initramfs-tools*",
    "cryptsetup*",
    "lvm2",
    "mdadm",
    "ifupdown*",
    "netplan.io",
    "network-manager",
    "systemd-resolved",
    "resolvconf",
    "isc-dhcp-client",
    "sudo",
    "cron",
    "nftables",
    "iptables*",
    "ufw",
    "firewalld",
    "fail2ban",
    "nginx*",
    "apache2*",
    "lighttpd*",
    "haproxy",
    "varnish",
    "php*-fpm",
    "libapache2-mod-*",
    "mariadb-server*",
    "mysql-server*",
    "postgresql",
    "postgresql-[0-9]*",
    "redis*",
    "valkey*",
    "memcached",
    "postfix*",
    "exim4*",
    "dovecot-*",
    "cyrus-*",
    "opendkim*",
    "rspamd",
    "spamassassin",
    "spamd",
    "clamav*",
    "amavisd-new",
    "mailman*",
    "bind9",
    "pdns-*",
    "unbound",
    "nsd",
    "proftpd*",
    "vsftpd",
    "pure-ftpd*",
    "quota",
    "acl",
    "certbot",
    "restic",
    "borgbackup",
    "psa*",
    "plesk-*",
    "cpanel*",
    "webmin",
    "virtualmin*",
    "usermin",
    "hestia*",
    "ispconfig*",
    "directadmin*",
)


def removals(context):
    """PF44: no package of the protected set is removed unless something takes its place or the operator accepts it."""
    protected = list(PROTECTED) + list(context.release_path.get("protected") or []) + list(context.options.get("protected_packages") or [])
    found, plain = [], []
    for entry in context.planned("remove"):
        name = entry["name"]
        known = accepted(context.release_path.get("expected_removals"), "package", name)
        agreed = accepted(context.options.get("accepted_removals"), "package", name)
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in protected):
            plain.append(name)
        elif agreed or known or entry.get("expected"):
            reason = (agreed or known or {}).get("reason") or entry.get("expected")
            found.append(
                Finding(
                    id="packages.removal.accepted",
                    severity="info",
                    subject=name,
                    title="will be removed, %s" % ("accepted" if agreed else "as the release path expects"),
                    evidence=str(reason),
                )
            )
        elif entry.get("replacement"):
            found.append(Finding(id="packages.removal.replaced", severity="info", subject=name, title="will be replaced by %s" % entry["replacement"]))
        else:
            found.append(
                Finding(
                    id="packages.removal.protected",
                    severity="blocker",
                    subject=name,
                    title="the upgrade would remove this package, and customers or access depend on it",
                    evidence="version %s" % entry.get("from", "?"),
                    remedy="apt-get -s full-upgrade with the target's sources shows what it conflicts with: remove that, or map its source; if it may "
                    "go, name it in preflight_accepted_removals with the reason",
                )
            )
    if plain:
        found.append(
            Finding(
                id="packages.removals",
                severity="info",
                subject="%d packages" % len(plain),
                title="will be removed",
                evidence=", ".join(sorted(plain)),
                details={"packages": sorted(plain)},
            )
        )
    return found
