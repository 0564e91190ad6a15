# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which trees the manifest looks at, and what in them it leaves out and why. Data, and the matcher for it. Pure."""

from __future__ import annotations

import re

# Customers' data and the administrator's hand. Trees that do not exist are simply not there.
TREES = (
    "/home",
    "/srv",
    "/var/www",
    "/etc",
    "/root",
    "/usr/local",
    "/opt",
    "/usr/lib/cgi-bin",
    "/var/spool/cron",
    # state of web applications as Debian packages them; other sections do not read these
    "/var/lib/dokuwiki",
    "/var/lib/wordpress",
    "/var/lib/mediawiki",
    "/var/lib/roundcube",
    "/var/lib/nextcloud",
    "/var/lib/phpmyadmin",
    "/var/lib/dehydrated",
    "/var/lib/acme",
    "/var/lib/sieve",
    "/var/lib/bind",
)

# Programs of the system: only set-id bits and capabilities are recorded.
PRIVILEGED = ("/usr/bin", "/usr/sbin", "/usr/libexec", "/usr/lib", "/bin", "/sbin", "/lib")

# What a web server hands out, by a directory's name.
DOCROOTS = ("public_html", "htdocs", "httpdocs", "docroot", "webroot", "www", "web", "html", "public", "sites")

# Pattern without a slash: the name alone. With one: the whole path; * stays within a component, ** does not.
# target: only links that point there. programs: only where one of them is installed, as the section that looks instead needs it.
EXCLUDED = (
    {
        "patterns": ["Maildir", "mdbox", "sdbox", "dovecot*.index*", "/var/vmail", "/home/*/mail", "/home/vmail"],
        "reason": "a mail store: the mail section reads every message",
        "programs": ["postconf", "doveadm", "exim4", "exim", "sendmail"],
    },
    {"patterns": ["sess_*", "/**/storage/framework/sessions", "/**/var/sessions"], "reason": "sessions of visitors come and go"},
    {
        "patterns": [
            ".cache",
            ".npm",
            "/**/wp-content/cache",
            "/**/data/cache",
            "/**/storage/framework/cache",
            "/**/storage/framework/views",
            "/**/var/cache",
            "/var/lib/dokuwiki/**/cache",
            "/var/lib/dokuwiki/**/locks",
            "/var/lib/dokuwiki/**/tmp",
            "/**/data/locks",
            "/**/data/tmp",
            "/var/lib/wordpress/**/cache",
            "/var/lib/mediawiki/**/cache",
            "__pycache__",
        ],
        "reason": "caches that the application makes again",
    },
    {"patterns": ["*.log", "*.log.[0-9]*", "*.log-[0-9]*", "error_log", "error_log[.-]*", "access_log", "access_log[.-]*"], "reason": "logs grow and rotate"},
    {
        "patterns": ["*-wal", "*-shm", "*.db-journal", "*.sqlite-journal", "*.sqlite3-journal", "*.pid", ".~lock*", ".*.swp"],
        "reason": "there only while a program works on its file",
    },
    {
        "patterns": [
            ".bash_history",
            ".zsh_history",
            ".sh_history",
            ".python_history",
            ".mysql_history",
            ".mariadb_history",
            ".psql_history",
            ".sqlite_history",
            ".lesshst",
            ".viminfo",
            ".wget-hsts",
            "/home/*/.ansible",
            "/root/.ansible",
            "/home/*/.ssh/agent",
            "/home/*/.local/state",
            "/root/.local/state",
        ],
        "reason": "written by every login",
    },
    {"patterns": ["aquota.user", "aquota.group", "lost+found", ".quota.user", ".quota.group"], "reason": "kept by the file system"},
    {
        "patterns": ["/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock"],
        "reason": "the previous version of an account file, left by the account tools",
    },
    {
        "patterns": [
            "/etc/ld.so.cache",
            "/etc/.updated",
            "/etc/adjtime",
            "/etc/mtab",
            "/etc/blkid.tab*",
            "/etc/udev/hwdb.bin",
            "/etc/lvm/archive",
            "/etc/lvm/backup",
            "/etc/lvm/cache",
            "/etc/network/run",
            "/etc/network/ifstate*",
            "/etc/console-setup/cached_*",
            "/etc/cups/subscriptions.conf*",
            "/etc/vim/undo",
            "/etc/.java",
        ],
        "reason": "written again by the system itself",
    },
    {
        "patterns": [
            "/etc/systemd/system/*.wants",
            "/etc/systemd/system/*.requires",
            "/etc/systemd/system/*.upholds",
            "/etc/systemd/user/*.wants",
            "/etc/rc[0-9S].d",
        ],
        "reason": "what starts at boot is told by the services section",
    },
    {"patterns": ["/etc/ssl/certs/????????.[0-9]", "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/java"], "reason": "made by update-ca-certificates"},
    {"patterns": ["/etc/ssl/certs/*"], "target": "/usr/share/ca-certificates/*", "reason": "made by update-ca-certificates"},
    {"patterns": ["/var/spool/cron/atjobs/.SEQ", "/var/spool/cron/atspool"], "reason": "a counter and the output of running jobs"},
    {
        "patterns": [
            "/var/lib/bind/**.jnl",
            "/var/lib/bind/**.jbk",
            "/var/lib/bind/**.signed",
            "/var/lib/bind/**.state",
            "/etc/bind/**.jnl",
            "/etc/bind/**.jbk",
            "/etc/bind/**.signed",
            "/etc/bind/**.state",
        ],
        "reason": "rewritten by named while it signs; the dns section asks the server",
    },
)


def matcher(rules):
    """A function excluded(path, name, kind, target) -> bool over bytes, from rules like EXCLUDED."""
    plain = [pattern for rule in rules if not rule.get("target") for pattern in rule["patterns"]]
    names = _union(p for p in plain if "/" not in p)
    paths = _union(p for p in plain if "/" in p)
    # a path can match only when its name matches the end of a pattern: the name is short and asked first
    ends = _union(_end(p) for p in plain)
    links = [(_union(rule["patterns"]), _union([rule["target"].replace("*", "**")])) for rule in rules if rule.get("target")]

    def excluded(path, name, kind, target):
        if ends.match(name) and (names.match(name) or paths.match(path)):
            return True
        return kind == "link" and any(where.match(path) and to.match(target) for where, to in links)

    return excluded


def _end(pattern):
    """What a name has to match when a path matches the pattern."""
    end = pattern.rpartition("/")[2]
    return "*" if "**" in end or end.count("[") != end.count("]") else end


def _union(patterns):
    """One compiled expression for many patterns; one that matches nothing for none."""
    return re.compile(("|".join("(?:%s)" % _translate(p) for p in patterns) or r"(?!)").encode("utf-8", "surrogateescape"), re.DOTALL)


def _translate(pattern):
    out, index = [], 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            out.append("(?:.*/)?")
            index += 3
        elif pattern.startswith("**", index):
            out.append(".*")
            index += 2
        elif pattern[index] == "*":
            out.append("[^/]*")
            index += 1
        elif pattern[index] == "?":
            out.append("[^/]")
            index += 1
        elif pattern[index] == "[" and "]" in pattern[index + 2 :]:
            end = pattern.index("]", index + 2)
            out.append(pattern[index : end + 1])
            index = end + 1
        else:
            out.append(re.escape(pattern[index]))
            index += 1
    return "".join(out) + r"\Z"


def docroot(path):
    """Whether an escaped path is at or below what a web server hands out."""
    parts = path.split("/")[:-1]
    if parts[1:2] in (["etc"], ["usr"]):
        return False
    return path.startswith("/var/www/") or any(part in DOCROOTS for part in parts)


def place(path):
    """The class of tree that the summary counts a path under."""
    if path.startswith("/etc/"):
        return "etc"
    if docroot(path) or path.startswith("/srv/"):
        return "sites"
    return "home" if path.startswith("/home/") else "other"
