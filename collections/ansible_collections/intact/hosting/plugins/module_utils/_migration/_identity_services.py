# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a service's account is called elsewhere, and which groups are power. Data."""

from __future__ import annotations

# For each role the names of its account, the usual one of a new host first: any of them on the old disk becomes the first of them that the new host has.
USERS = (
    ("www-data", "apache", "httpd", "www", "wwwrun", "nginx", "lighttpd"),
    ("nobody", "nfsnobody"),
    ("mysql", "mariadb"),
    ("postgres", "pgsql", "postgresql"),
    ("postfix",),
    ("Debian-exim", "exim", "mailnull", "exim4"),
    ("smmsp",),
    ("smmta", "sendmail"),
    ("dovecot", "imapd"),
    ("dovenull",),
    ("mail",),
    ("list", "mailman"),
    ("bind", "named", "dns"),
    ("courier", "daemon-courier"),
    ("vmail", "popuser", "vpopmail", "virtual", "mailowner"),
    ("proftpd", "ftp", "ftpuser"),
    ("psaadm",),
    ("psaftp",),
    ("sshd",),
    ("ntp", "ntpsec", "chrony", "_chrony"),
    ("squid", "proxy"),
    ("clamav", "clam", "clamupdate"),
    ("amavis", "vscan"),
    ("debian-spamd", "spamd", "spam", "spamassassin"),
    ("opendkim", "dkim-milter"),
    ("memcache", "memcached"),
    ("redis",),
    ("openldap", "ldap", "slapd"),
    ("messagebus", "dbus"),
    ("systemd-resolve",),
    ("tss",),
    ("uucp",),
    ("news", "innd"),
    ("games",),
    ("man",),
    ("lp",),
    ("daemon",),
    ("bin",),
    ("sys",),
    ("sync",),
    ("backup",),
    ("irc",),
    ("gnats",),
)
GROUPS = (("nogroup", "nobody", "nfsnobody"), ("postdrop", "maildrop"), ("crontab", "cron")) + tuple(names for names in USERS if names[0] not in ("nobody",))
# Several of these may be one account on the new host: it may read and write nothing anyway.
NOBODY = ("nobody", "nogroup")
# Members read or change what is not theirs: root, disks, logs, containers, everybody's passwords.
POWER = frozenset(
    "root wheel sudo admin sudoers adm disk docker podman lxd lxc incus incus-admin libvirt libvirtd libvirt-qemu kvm qemu vboxusers shadow utmp kmem mem sys "
    "operator staff src backup tty tape floppy cdrom dialout dip plugdev netdev video audio input render lpadmin lp systemd-journal systemd-network "
    "ssl-cert sshkeys ssh_keys wireshark pcap uucp bin daemon sasl saslauth puppet secadm psaserv trusted rpm sgx scanner bluetooth".split()
)
# Groups of the new system that give nothing which membership in the old one did not.
HARMLESS = frozenset(("users", "games", "nogroup"))


def candidates(name, table, chosen):
    """What the service's account may be called on a new host, best first; () when the name is no service's. chosen: the operator's {old: new}."""
    if name in chosen:
        return (chosen[name],)
    for names in table:
        if name in names:
            return (name,) + tuple(n for n in names if n != name)
    return ()
