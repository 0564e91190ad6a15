# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Lines of crontabs, at jobs and timers as data. Pure. Formats: crontab(5), anacrontab(5), systemd.timer(5)."""

from __future__ import annotations

import re
import shlex

ASSIGNMENT = re.compile(r"^\s*(\"[^\"]+\"|'[^']+'|[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$")
FIELD = re.compile(r"^(@\w+|[\d*][\w*,/~-]*|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)[\w,/~-]*)$")
# cron reads no other names from /etc/cron.d and the cron.daily family (run-parts(8)).
READ_NAME = re.compile(r"^[A-Za-z0-9_-]+$")
# Words after which the program follows, or that are none themselves.
WORDS = {
    "if",
    "then",
    "else",
    "elif",
    "fi",
    "for",
    "while",
    "until",
    "do",
    "done",
    "case",
    "esac",
    "{",
    "}",
    "(",
    ")",
    "!",
    "[",
    "[[",
    "test",
    "cd",
    ":",
    ".",
    "source",
    "exec",
    "eval",
    "export",
    "unset",
    "set",
    "umask",
    "ulimit",
    "true",
    "false",
    "echo",
    "printf",
    "read",
    "trap",
    "wait",
    "exit",
    "return",
    "command",
    "type",
}
WRAPPERS = {"nice", "ionice", "nohup", "chronic", "env", "timeout", "flock", "setsid", "sudo", "time", "systemd-cat", "stdbuf", "chrt"}


def crontab(text, user=None):
    """Jobs of a crontab: list of {user, schedule, command, settings}. user: whose it is; None when lines name one (/etc/crontab, cron.d).

    settings: the assignments in force at that line ({NAME: value}). Lines that cron cannot read are left out, as cron does.
    """
    out, settings = [], {}
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = ASSIGNMENT.match(line)
        if found and not line.startswith("@"):
            settings = dict(settings, **{found.group(1).strip("\"'"): found.group(2).strip().strip("\"'")})
            continue
        parts = line.split(None, 1 if line.startswith("@") else 5)
        if len(parts) != (2 if line.startswith("@") else 6) or not all(FIELD.match(part) for part in parts[:-1]):
            continue
        schedule, command, who = " ".join(parts[:-1]), parts[-1], user
        if user is None:
            who, _blank, command = command.partition(" ") if "\t" not in command.split(" ")[0] else command.partition("\t")
        if command.strip():
            out.append({"user": who, "schedule": schedule, "command": command.strip(), "settings": settings})
    return out


def anacrontab(text):
    """Jobs of /etc/anacrontab, as crontab() gives them."""
    out = []
    for line in text.splitlines():
        parts = line.strip().split(None, 3)
        if len(parts) == 4 and not parts[0].startswith("#") and not ASSIGNMENT.match(line):
            out.append({"user": "root", "schedule": "every %s days after %s min" % tuple(parts[:2]), "command": parts[3], "settings": {}})
    return out


def program(command):
    """The first program that a command line starts, or "" when it cannot be told (shell words, variables)."""
    # what follows an unescaped % is standard input
    command = re.split(r"(?<!\\)%", command)[0]
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars="();<>|&")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return ""
    tests, skip = False, False
    for word in words:
        if re.match(r"^[();|&]+$", word):
            tests = skip = False
            continue
        if skip or re.match(r"^[<>]+$", word) or re.match(r"^[A-Za-z_][A-Za-z0-9_]*=", word):
            continue
        if word in ("if", "then", "else", "elif", "do", "!", "{", "while", "until", "exec", "command"):
            continue
        if word in WORDS:
            tests = skip = True  # its arguments are no programs; go on behind the next separator
            continue
        if tests:
            continue
        if word.rpartition("/")[2] in WRAPPERS or "$" in word or "`" in word:
            return ""
        return word
    return ""


def interpreter(head):
    """The program that a script's first line names, or ""; head: its first bytes."""
    found = re.match(rb"#!\s*(\S+)(?:[ \t]+(\S+))?", head)
    if not found:
        return ""
    name = found.group(1).decode("utf-8", "surrogateescape")
    if name.endswith("/env") and found.group(2) and not found.group(2).startswith(b"-"):
        return found.group(2).decode("utf-8", "surrogateescape")
    return name


def at_job(name, text):
    """An at job from its file's name (queue, number, minutes since 1970, in hex) and text: {queue, number, due, user, command}, or None.

    due: seconds since 1970. at(1) writes the environment first, then "cd ... || { ... }", then the job.
    """
    found = re.match(r"^([a-zA-Z=])([0-9a-f]{5})([0-9a-f]{8})$", name)
    if not found:
        return None
    body = [line.strip() for line in text.split("\n}\n", 1)[-1].splitlines() if line.strip() and "marcinDELIMITER" not in line]
    who = re.search(r"^# mail (\S+)", text, re.MULTILINE)
    return {
        "queue": found.group(1),
        "number": int(found.group(2), 16),
        "due": int(found.group(3), 16) * 60,
        "user": who.group(1) if who else "",
        "command": "; ".join(body)[:300],
    }


def timers(text):
    """Units from `systemctl show -p ...`: list of {property: value or [values]}; a property given twice becomes a list."""
    out = []
    for block in text.split("\n\n"):
        unit = {}
        for line in block.splitlines():
            key, equals, value = line.partition("=")
            if not equals:
                continue
            if key in ("TimersCalendar", "TimersMonotonic"):
                # "{ OnCalendar=*-*-* 06:00:00 ; next_elapse=... }": what is configured, not the moment
                unit.setdefault(key, []).append(value.strip("{} ").split(" ; next_elapse")[0].strip())
            else:
                unit[key] = value
        if unit.get("Id"):
            out.append(unit)
    return out
