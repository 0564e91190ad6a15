# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is every daemon's configuration valid now: a red one would be blamed on the upgrade (PF40)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError


@dataclass(frozen=True)
class Daemon:
    """name: as an operator says it. packages: patterns, one installed is enough. argv: how it checks its own
    configuration. where: its configuration. unit: what tells whether it is in use. says: a message that is an error despite exit 0.
    target: patterns of the packages whose target versions read the configuration (PF41); none: not asked there.
    network: needs the host's own network to check, because it binds or resolves.
    """

    name: str
    packages: tuple
    argv: tuple
    where: str
    unit: str = ""
    says: str = ""
    target: tuple = ()
    network: bool = False


DAEMONS = (
    Daemon("nginx", ("nginx-*", "nginx"), ("nginx", "-t", "-q"), "/etc/nginx", "nginx.service", target=("nginx", "nginx-*", "libnginx-mod-*"), network=True),
    Daemon(
        "apache2",
        ("apache2",),
        ("apache2ctl", "configtest"),
        "/etc/apache2",
        "apache2.service",
        target=("apache2", "apache2-*", "libapache2-mod-*"),
        network=True,
    ),
    Daemon(
        "lighttpd",
        ("lighttpd",),
        ("lighttpd", "-tt", "-f", "/etc/lighttpd/lighttpd.conf"),
        "/etc/lighttpd",
        "lighttpd.service",
        target=("lighttpd", "lighttpd-mod-*"),
        network=True,
    ),
    Daemon(
        "haproxy", ("haproxy",), ("haproxy", "-c", "-q", "-f", "/etc/haproxy/haproxy.cfg"), "/etc/haproxy", "haproxy.service", target=("haproxy",), network=True
    ),
    Daemon(
        "postfix",
        ("postfix",),
        ("postfix", "check"),
        "/etc/postfix",
        "postfix.service",
        r"(?m)^(postfix|postsuper|postconf)\S*: (fatal|error):",
        target=("postfix", "postfix-*"),
        network=True,
    ),
    Daemon("exim", ("exim4-daemon-*",), ("exim4", "-bV"), "/etc/exim4", "exim4.service", target=("exim4-base", "exim4-daemon-*")),
    Daemon("dovecot", ("dovecot-core",), ("doveconf", "-n"), "/etc/dovecot", "dovecot.service", target=("dovecot-*",)),
    Daemon("opendkim", ("opendkim",), ("opendkim", "-n"), "/etc/opendkim.conf", "opendkim.service", target=("opendkim",)),
    Daemon("rspamd", ("rspamd",), ("rspamadm", "configtest", "-q"), "/etc/rspamd", "rspamd.service", target=("rspamd",)),
    Daemon("bind", ("bind9",), ("named-checkconf", "-z"), "/etc/bind", "named.service", target=("bind9", "bind9-utils", "bind9-libs")),
    Daemon("unbound", ("unbound",), ("unbound-checkconf",), "/etc/unbound", "unbound.service", target=("unbound",)),
    Daemon(
        "mariadb",
        ("mariadb-server-core*",),
        ("mariadbd", "--user=mysql", "--verbose", "--help"),
        "/etc/mysql",
        "mariadb.service",
        target=("mariadb-server-core", "mariadb-plugin-*"),
    ),
    Daemon("proftpd", ("proftpd-*",), ("proftpd", "-t"), "/etc/proftpd", "proftpd.service", target=("proftpd-*",), network=True),
    Daemon("sshd", ("openssh-server",), ("/usr/sbin/sshd", "-t"), "/etc/ssh", "ssh.service", target=("openssh-server",)),
    Daemon("sudo", ("sudo", "sudo-ldap"), ("visudo", "-c"), "/etc/sudoers", target=("sudo", "sudo-ldap")),
    Daemon("nftables", ("nftables",), ("nft", "-c", "-f", "/etc/nftables.conf"), "/etc/nftables.conf", "nftables.service"),
    Daemon("fail2ban", ("fail2ban",), ("fail2ban-client", "-t"), "/etc/fail2ban", "fail2ban.service"),
    Daemon("rsyslog", ("rsyslog",), ("rsyslogd", "-N1"), "/etc/rsyslog.conf", "rsyslog.service", target=("rsyslog", "rsyslog-*")),
    Daemon("logrotate", ("logrotate",), ("logrotate", "-d", "/etc/logrotate.conf"), "/etc/logrotate.d", "logrotate.timer", r"(?m)^error: "),
)


def daemons(context):
    """The daemons on this host: the table above, and one php-fpm and one PostgreSQL per version."""
    here = [d for d in DAEMONS if context.installed(*d.packages)]
    for name in context.installed("php[0-9]*-fpm"):
        version = re.sub(r"^php|-fpm$", "", name)
        here.append(Daemon("php-fpm " + version, (name,), ("php-fpm" + version, "-t"), "/etc/php/%s/fpm" % version, name + ".service"))
    for path in context.host.glob("/etc/postgresql/*/*/postgresql.conf"):
        version, cluster = path.split("/")[3:5]
        if context.installed("postgresql-" + version):
            argv = (
                "runuser",
                "-u",
                "postgres",
                "--",
                "/usr/lib/postgresql/%s/bin/postgres" % version,
                "-D",
                "/etc/postgresql/%s/%s" % (version, cluster),
                "-C",
                "max_connections",
            )
            here.append(
                Daemon("postgresql %s/%s" % (version, cluster), ("postgresql-" + version,), argv, path, "postgresql@%s-%s.service" % (version, cluster))
            )
    return here


def shorten(text, lines=4):
    """The last telling lines of what a checker said, on one line."""
    told = [" ".join(line.split()) for line in text.splitlines() if line.strip() and not re.match(r"^\S*(warning|notice)\b", line.strip(), re.I)]
    return " | ".join((told or text.split("\n"))[-lines:])[:600]


def in_use(context, unit):
    """Whether a unit runs or is started at boot; a thing without a unit always counts."""
    if not unit:
        return True
    asked = context.host.run(["systemctl", "is-active", "--", unit], check=False)
    return asked.text.strip() in ("active", "activating", "reloading") or context.host.run(
        ["systemctl", "is-enabled", "--", unit], check=False
    ).text.strip() in ("enabled", "enabled-runtime", "static", "generated")


def valid_now(context):
    """PF40: each daemon that is installed accepts its own configuration as it is today."""
    found = []
    for daemon in daemons(context):
        try:
            asked = context.host.run(list(daemon.argv), timeout=120, check=False)
        except IntactError as exc:
            found.append(
                Finding(
                    id="config.unchecked",
                    severity="warning",
                    subject=daemon.name,
                    title="its configuration could not be checked",
                    evidence=str(exc),
                    remedy="%s, by hand" % " ".join(daemon.argv),
                )
            )
            continue
        said = asked.error + "\n" + (asked.text[-2000:] if asked.rc else "")
        if asked.rc == 0 and not (daemon.says and re.search(daemon.says, asked.error)):
            continue
        used = in_use(context, daemon.unit)
        context.once("broken now", dict)[daemon.name] = True  # so that PF41 does not tell it again
        found.append(
            Finding(
                id="config.broken",
                severity="blocker" if used else "warning",
                subject=daemon.name,
                title="its configuration is broken today%s" % ("" if used else ", but it is neither running nor enabled"),
                evidence=shorten(said) or "%s ended with status %d" % (daemon.argv[0], asked.rc),
                remedy="correct it below %s until '%s' is content, then run check-host again" % (daemon.where, " ".join(daemon.argv)),
            )
        )
    return found
