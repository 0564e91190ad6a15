# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What else an old system was set up with: programs, PHP and its extensions, sudoers, firewall, mail transport. Found by files."""

from __future__ import annotations

import posixpath
import re

# A server's program on the old disk (any of these paths) and Debian's package for it today.
PROGRAMS = (
    ("apache2", ("/usr/sbin/apache2", "/usr/sbin/httpd", "/usr/sbin/httpd2"), "apache2"),
    ("nginx", ("/usr/sbin/nginx",), "nginx"),
    ("mariadbd", ("/usr/sbin/mysqld", "/usr/libexec/mysqld", "/usr/sbin/mariadbd"), "mariadb-server"),
    ("postgres", ("/usr/bin/postgres", "/usr/lib/postgresql/*/bin/postgres", "/usr/bin/postmaster"), "postgresql"),
    ("postfix", ("/usr/sbin/postfix",), "postfix"),
    ("exim4", ("/usr/sbin/exim4", "/usr/sbin/exim"), "exim4"),
    ("sendmail", ("/usr/sbin/sendmail.sendmail", "/usr/share/sendmail/cf/README", "/usr/sbin/sendmail-mta"), "postfix"),
    ("qmail", ("/var/qmail/bin/qmail-send",), "postfix"),
    ("dovecot", ("/usr/sbin/dovecot",), "dovecot-imapd"),
    ("courier", ("/usr/sbin/courierlogger", "/usr/lib/courier/imapd", "/usr/bin/couriertcpd", "/usr/sbin/couriertcpd"), "dovecot-imapd"),
    ("uw-imapd", ("/usr/sbin/imapd",), "dovecot-imapd"),
    ("mailman", ("/usr/lib/mailman/bin/mailmanctl", "/usr/local/mailman/bin/mailmanctl"), "mailman3-full"),
    ("named", ("/usr/sbin/named",), "bind9"),
    ("vsftpd", ("/usr/sbin/vsftpd",), "vsftpd"),
    ("proftpd", ("/usr/sbin/proftpd",), "proftpd-core"),
    ("pure-ftpd", ("/usr/sbin/pure-ftpd",), "pure-ftpd"),
    ("spamd", ("/usr/sbin/spamd", "/usr/bin/spamd"), "spamassassin"),
    ("clamd", ("/usr/sbin/clamd",), "clamav-daemon"),
    ("squid", ("/usr/sbin/squid", "/usr/sbin/squid3"), "squid"),
    ("memcached", ("/usr/bin/memcached",), "memcached"),
    ("cyrus", ("/usr/lib/cyrus-imapd/cyrus-master", "/usr/sbin/cyrmaster"), "cyrus-imapd"),
    ("procmail", ("/usr/bin/procmail",), "procmail"),
    ("fail2ban", ("/usr/bin/fail2ban-server",), "fail2ban"),
)
# What a package's daemon is called on the new host; others have the same name as the program.
LIVE = {
    "mariadb-server": ("mariadbd", "mysqld"),
    "postgresql": ("psql",),
    "postfix": ("postfix",),
    "exim4": ("exim4",),
    "dovecot-imapd": ("dovecot",),
    "mailman3-full": ("mailman",),
    "bind9": ("named",),
    "proftpd-core": ("proftpd",),
    "clamav-daemon": ("clamd",),
}
INI = ("/etc/php.d/*.ini", "/etc/php[3457]/conf.d/*.ini", "/etc/php[57]/*/conf.d/*.ini", "/etc/php/*/*/conf.d/*.ini")
# Extensions that PHP has no more, and what became of them.
GONE_PHP = {"mysql": "mysqli or PDO (mysql_* functions are gone since PHP 7.0)", "mcrypt": "openssl or sodium", "ereg": "preg", "mssql": "sybase or sqlsrv"}
FIREWALL = (
    "/etc/sysconfig/iptables",
    "/etc/sysconfig/ip6tables",
    "/etc/iptables/rules.v4",
    "/etc/iptables/rules.v6",
    "/etc/iptables.up.rules",
    "/etc/iptables.rules",
    "/etc/nftables.conf",
    "/etc/ufw/user.rules",
    "/etc/csf/csf.conf",
    "/var/lib/ufw/user.rules",
)
LIVE_FIREWALL = ("/etc/nftables.conf", "/etc/iptables/rules.v4", "/etc/ufw/user.rules")
MTA = (
    "/etc/postfix/main.cf",
    "/etc/exim/exim.conf",
    "/etc/exim4/update-exim4.conf.conf",
    "/etc/exim4/exim4.conf",
    "/etc/mail/sendmail.mc",
    "/var/qmail/control/me",
)
# Settings that belong to a machine or a version and are never carried.
NOT_CARRIED = re.compile(
    r"(\w+_directory|\w+_path|\w+_program|command_directory|mail_owner|setgid_group|debug_\w+|inet_\w+|compatibility_level|.*tls_(cert|key)_file)\Z"
)


def programs(old, live):
    """[(name, file on the old disk, package)] of servers that the old system had and that this host lacks."""
    out = []
    for name, places, package in PROGRAMS:
        found = next((path for place in places for path in (old.glob(place) if "*" in place else [place]) if old.exists(path)), None)
        if found and not any(live.which(program) for program in LIVE.get(package, (name,))):
            out.append((name, found, package))
    return out


def php_versions(system):
    """PHP versions that left something on a system, newest last; of very old ones only the major is known."""
    out = set()
    for pattern in ("/etc/php/*", "/usr/share/doc/php-[0-9]*", "/usr/lib/php/[0-9]*", "/etc/php[0-9]"):
        for path in system.glob(pattern):
            match = re.search(r"(\d+(?:\.\d+)?)(?:\.\d+)*\Z", re.sub(r"-\d+(\.\w+)*\Z", "", path) if path.count("-") > 1 else path)
            if match and not match.group(1).startswith("20"):
                out.add(match.group(1))
    return sorted(out, key=lambda version: [int(part) for part in version.split(".")])


def socket(live):
    """The socket of the newest PHP-FPM on this host, or ""."""
    found = [path for version in php_versions(live) for path in live.glob("/run/php/php%s-fpm.sock" % version)]
    if found:
        return found[-1]
    versions = [version for version in php_versions(live) if live.exists("/etc/php/%s/fpm" % version)]
    return "/run/php/php%s-fpm.sock" % versions[-1] if versions else ""


def extensions(old, live):
    """[(extension, its file on the old disk, sentence)] of PHP extensions that were switched on and that are not here."""
    newest, out = (php_versions(live) or [""])[-1], {}
    for pattern in INI:
        for path in old.glob(pattern):
            name = re.sub(r"^\d+-", "", posixpath.basename(path)[:-4]).lower()
            if name in out or (newest and live.exists("/etc/php/%s/mods-available/%s.ini" % (newest, name))):
                continue
            out[name] = (path, "it is gone from PHP: %s" % GONE_PHP[name] if name in GONE_PHP else "php-%s is not installed" % name)
    return [(name, path, said) for name, (path, said) in sorted(out.items())]


def sudo_rules(system):
    """{line: file} of a system's sudoers, continued lines put together, without what every system has."""
    out = {}
    for path in ["/etc/sudoers"] + system.glob("/etc/sudoers.d/*"):
        for line in re.sub(r"\\\n", " ", system.text(path)).splitlines():
            plain = " ".join(line.split())
            if not plain or plain.startswith(("#", "@include")) or re.match(r"(Defaults\b|root\s|%(sudo|wheel|admin)\s)", plain):
                continue
            out.setdefault(plain, path)
    return out


def ports(text):
    """Ports that a set of iptables rules lets in, as text."""
    found = set()
    for line in text.splitlines():
        if re.match(r"\s*(-A|-I)\s+\S*INPUT|\s*-A\s+\S*(ufw|RH-Firewall)", line) and "ACCEPT" in line:
            for proto, one, many in re.findall(r"-p (\w+)(?:(?!-p ).)*?--d(?:port (\S+)|ports (\S+))", line):
                found |= {"%s/%s" % (port, proto) for port in (one or many).split(",")}
    return sorted(found)


def settings(text):
    """{name: value} of Postfix's main.cf, continued lines put together."""
    out = {}
    for line in re.sub(r"\n[ \t]+", " ", re.sub(r"(?m)^\s*#.*\n?", "", text)).splitlines():
        name, sign, value = line.partition("=")
        if sign and re.match(r"\w+\s*\Z", name):
            out[name.strip()] = " ".join(value.split())
    return out


def postfix(old, live):
    """[(name, old value, live value or "")] of settings of main.cf that were set on the old system and are otherwise here."""
    before, now = settings(old.text("/etc/postfix/main.cf")), settings(live.text("/etc/postfix/main.cf"))
    return [(name, value, now.get(name, "")) for name, value in sorted(before.items()) if now.get(name) != value and not NOT_CARRIED.match(name)]
