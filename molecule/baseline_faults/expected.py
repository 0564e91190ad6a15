# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each fault of faults.py must be told as: exactly this finding about exactly this subject, and nothing besides."""

from __future__ import annotations

# A container's load is the machine's, which plays other scenarios meanwhile: told, and no fault of the host's.
MACHINES_OWN = ("resources.load.high",)

# fault: severity, id, subject
EXPECTED = {
    "mailbox_folder_gone": ("blocker", "mail.folder.missing", "orders@hilltop.test: Archive/2022"),
    "row_changed": ("blocker", "databases.rows.changed", "mariadb:hilltop_shop.orders"),
    "blob_truncated": ("blocker", "databases.rows.changed", "mariadb:hilltop_shop.pictures"),
    "uid_changed": ("blocker", "accounts.uid.changed", "user j.doe"),
    "acl_lost": ("blocker", "files.acl.changed", "/home/hilltop/www/menu.html"),
    "service_disabled": ("blocker", "services.enabled.changed", "mailman3.service"),
    "docroot_emptied": ("blocker", "files.tree.emptied", "/home/harbour/guests"),
    "vhost_serves_another": ("blocker", "sites.body.changed", "wiki.harbour.test"),
    "certificate_replaced": ("blocker", "tls.key.changed", "blog.northwind.test:443"),
    "zone_record_changed": ("blocker", "dns.record.changed", "mail.hilltop.test. A"),
    "list_member_lost": ("blocker", "lists.member.lost", "crew@lists.harbour.test: guest3@example.test"),
    "cron_job_lost": ("blocker", "cron.job.missing", "hilltop: 5 2 * * * find $HOME/logs -name '*.gz' -mtime +365 -delete"),
    "firewall_rule_lost": ("blocker", "firewall.rule.missing", "inet hosting input: tcp dport { 3306, 5432 } accept"),
    "capability_lost": ("blocker", "files.capability.lost", "/home/hilltop/bin/port-check"),
    "listener_new": ("warning", "sockets.new", "tcp 0.0.0.0:8099 python*"),
    "package_removed": ("blocker", "packages.missing", "unzip"),
    "ipv6_binding_lost": ("blocker", "sockets.ipv6.lost", "tcp [[]::]:22 sshd"),
    "mail_queue_vanished": ("blocker", "queue.message.lost", "* from editor@northwind.test to kim@deadend.test"),
    "mount_missing": ("blocker", "mounts.missing", "/home"),
    "disk_replaced": ("blocker", "disks.identity.changed", "/home"),
}
# Subjects are shell patterns; the other characters that a pattern knows are meant literally.
LITERAL = ("firewall_rule_lost", "cron_job_lost")

# Faults that can be on a host at once without one explaining the other: few looks, all faults.
WAVES = (
    tuple(name for name in EXPECTED if name not in ("mount_missing", "disk_replaced")),
    ("mount_missing",),
    ("disk_replaced",),
)

# What must not be left out of a fault's consequences: that it was seen, and folded.
EXPLAINS = {
    "docroot_emptied": ("sites.status.changed", "guests.harbour.test"),
    "vhost_serves_another": ("files.content.changed", "/etc/nginx/sites-available/wiki.harbour.test"),
    "certificate_replaced": ("files.content.changed", "/etc/ssl/hosting/blog.northwind.test.crt"),
    "zone_record_changed": ("files.content.changed", "/var/lib/bind/hilltop.test.zone"),
    "mount_missing": ("sites.body.changed", "www.hilltop.test"),
    "disk_replaced": ("mail.mailbox.missing", "orders@hilltop.test"),
}
