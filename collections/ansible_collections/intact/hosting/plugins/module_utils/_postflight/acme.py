# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Will certificates be renewed: the ACME client starts, something starts it, its hooks and accounts are there (QF13). No authority is asked."""

from __future__ import annotations

import base64
import re
import shlex

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._postflight import _started

LETSENCRYPT = "/etc/letsencrypt"
# Words that are no programs, or start what follows them.
SHELL = {"cd", "if", "for", "while", "test", "[", "[[", "true", "false", ":", "exec", "echo", "export", "set", "(", "{", "!", "source", ".", "command", "eval"}
HOOKS = ("pre_hook", "post_hook", "renew_hook", "deploy_hook", "manual_auth_hook", "manual_cleanup_hook")
HOMES = ("/root/.acme.sh", "/etc/acme.sh", "/usr/local/acme.sh", "/var/lib/acme.sh")
LEGOS = ("/etc/lego", "/var/lib/lego", "/root/.lego", "/.lego")


def settings(text):
    """{key: value} of a renewal file; those of [[webroot_map]] as "map DOMAIN". Pure."""
    out, inner = {}, ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            inner = "map " if line.startswith("[[") else ""
            continue
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            out[inner + key.strip()] = value.strip().strip("\"'")
    return out


def _finding(name, subject, title, evidence, remedy, severity="warning"):
    return Finding(id="acme." + name, severity=severity, subject=subject, title=title, evidence=evidence, remedy=remedy)


def runnable(host, command):
    """Why the first program of a shell's command can't be run, or ""."""
    try:
        words = shlex.split(command)
    except ValueError:
        return ""  # a shell may read what this can't
    words = [word for word in words if not re.match(r"^\w+=", word)]
    if not words or words[0] in SHELL or "$" in words[0] or words[0].startswith(("(", "{", "`")):
        return ""
    if not words[0].startswith("/"):
        return "" if host.which(words[0]) else "%s is not there" % words[0]
    st = host.lstat(host.realpath(words[0]))
    if st is None:
        return "%s is not there" % words[0]
    return "" if st.st_mode & 0o111 else "%s is not executable" % words[0]


def _starts(host, client, program, argv):
    """Findings about a client that does not start. Only a program that nobody but root can change is started."""
    if not _started.only_roots(host, program):
        return [
            _finding(
                "client.untried",
                client,
                "whether it starts was not tried",
                "%s can be changed by others than root" % program,
                "chown root %s; chmod go-w %s" % (program, program),
            )
        ]
    try:
        said = host.run(argv, timeout=60, env={"HOME": "/root"}, check=False)
        if said.rc == 0:
            return []
        why = (said.error.splitlines() or [said.text.strip()[-200:] or "status %d" % said.rc])[-1]
    except (IntactError, OSError) as exc:
        why = str(exc)
    return [
        _finding(
            "client.broken",
            client,
            "it does not start: no certificate will be renewed",
            why,
            "install it again from the distribution, or make its Python environment anew",
        )
    ]


def _scheduled(host, client, word):
    will, idle = _started.started_by(host, word)
    if will:
        return []
    evidence = "%s has no next run" % ", ".join(idle) if idle else "no timer and no line of cron names it"
    remedy = "systemctl enable --now %s" % (idle[0] if idle else "its timer, or write a line in /etc/cron.d")
    return [_finding("unscheduled", client, "nothing starts it: no certificate will be renewed", evidence, remedy)]


def _hook(host, subject, name, command):
    why = runnable(host, command)
    return [_finding("hook", subject, "its %s can't be run" % name, why, "put it back, or correct the command")] if why else []


def _key(host, subject, paths, where):
    """A finding when none of the files that hold an account's key has content."""
    for path in paths:
        try:
            if (host.read(path, 16) or b"").strip():
                return []
        except OSError:
            continue
    return [
        _finding(
            "account",
            subject,
            "the key of its account at the authority is not there",
            where,
            "put it back from the backup, or register anew and renew each certificate",
        )
    ]


def certbot(context):
    """QF13: certbot."""
    host = context.host
    confs = host.glob(LETSENCRYPT + "/renewal/*.conf")
    if not confs:
        return []
    places = ("/snap/bin/certbot", "/opt/certbot/bin/certbot", "/opt/eff.org/certbot/venv/bin/certbot")
    program = host.which("certbot") or next((path for path in places if host.exists(path)), "")
    if not program:
        return [
            _finding(
                "client.missing",
                "certbot",
                "it is gone, and %d certificates are renewed by it" % len(confs),
                LETSENCRYPT + "/renewal",
                "apt-get install certbot",
            )
        ]
    found = _starts(host, "certbot", program, [program, "--version"])
    plugins = set()
    if not found:
        scratch = context.options.get("scratch") or "/nonexistent"
        own = ["--config-dir", scratch + "/certbot", "--work-dir", scratch + "/certbot", "--logs-dir", scratch + "/certbot"]
        said = host.run([program, "plugins", "--non-interactive"] + own, timeout=120, check=False)
        plugins = set(re.findall(r"^\* (\S+)", said.text, re.M))
    found += _scheduled(host, "certbot", "certbot")
    for path in confs:
        conf, name = settings(host.text(path)), path.rpartition("/")[2][: -len(".conf")]
        subject = "certbot: " + name
        for key in HOOKS:
            if conf.get(key) not in (None, "", "None"):
                found += _hook(host, subject, key, conf[key])
        for key in ("authenticator", "installer"):
            wanted = conf.get(key)
            if plugins and wanted not in (None, "", "None", "manual") and wanted not in plugins and wanted.rpartition(":")[2] not in plugins:
                package = "apt-get install python3-certbot-" + wanted
                found.append(
                    _finding("plugin", subject, "the plugin %s that it renews with is not there" % wanted, "there are: " + ", ".join(sorted(plugins)), package)
                )
        for key, place in sorted(conf.items()):
            if key.startswith("map ") and not host.exists(place):
                found.append(
                    _finding(
                        "webroot", subject, "the directory that it answers from is not there", "%s: %s" % (key[4:], place), "correct webroot_map in " + path
                    )
                )
        if conf.get("account") and conf.get("server"):
            where = "%s/accounts/%s/%s/private_key.json" % (LETSENCRYPT, re.sub(r"^https?://", "", conf["server"]), conf["account"])
            found += _key(host, subject, [where], where)
        for key in ("cert", "privkey", "fullchain"):
            if conf.get(key) and not host.exists(host.realpath(conf[key])):
                found.append(_finding("link", subject, "its file leads nowhere", conf[key], "certbot update_symlinks, or put it back from the backup"))
    for kind in ("pre", "deploy", "post"):
        for path in host.glob("%s/renewal-hooks/%s/*" % (LETSENCRYPT, kind)):
            st = host.lstat(host.realpath(path))
            if st is None or (
                st.st_mode & 0o170000 == 0o100000 and not st.st_mode & 0o111 and not path.endswith((".txt", ".md", "~", ".bak", ".off", ".disabled"))
            ):
                why = "it is a link that leads nowhere" if st is None else "it is not executable, and certbot passes over it without a word"
                found.append(_finding("hook", path, "this hook is not run", why, "chmod +x %s, or take it away" % path))
    return found


def acme_sh(context):
    """QF13: acme.sh, where root has it."""
    host, found = context.host, []
    for home in HOMES:
        confs = [path for path in host.glob(home + "/*/*.conf") if path.rpartition("/")[2] != "account.conf" and "Le_Domain=" in host.text(path)]
        if not confs:
            continue
        program = home + "/acme.sh"
        if not host.exists(program):
            found.append(
                _finding(
                    "client.missing",
                    "acme.sh",
                    "it is gone, and %d certificates are renewed by it" % len(confs),
                    program,
                    "install it again with --home %s" % home,
                )
            )
            continue
        found += _starts(host, "acme.sh", program, [program, "--home", home, "--version"]) + _scheduled(host, "acme.sh", "acme.sh")
        keys = host.glob(home + "/ca/*/account.key") + host.glob(home + "/ca/*/*/account.key") + host.glob(home + "/ca/*/*/*/account.key")
        found += _key(host, "acme.sh", keys, home + "/ca/*/account.key")
        for path in confs:
            conf = settings(host.text(path))
            for key in ("Le_ReloadCmd", "Le_PreHook", "Le_PostHook", "Le_RenewHook"):
                command = decoded(conf.get(key, ""))
                if command:
                    found += _hook(host, "acme.sh: " + conf["Le_Domain"], key[3:], command)
    return found


def decoded(value):
    """A command as acme.sh keeps it, in words. Pure."""
    held = re.match(r"^__ACME_BASE64__START_(.*)__ACME_BASE64__END_$", value)
    if not held:
        return value
    try:
        return base64.b64decode(held.group(1)).decode("utf-8", "surrogateescape")
    except ValueError:
        return ""


def dehydrated(context):
    """QF13: dehydrated."""
    host = context.host
    texts = [host.text(path) for path in ["/etc/dehydrated/config"] + host.glob("/etc/dehydrated/conf.d/*.sh")]
    conf = {}
    for key, value in re.findall(r"^\s*(?:export\s+)?([A-Z_]+)=[\"']?([^\"'\n#]*)", "\n".join(texts), re.M):
        conf[key] = value.strip()
    base = conf.get("BASEDIR") or "/var/lib/dehydrated"
    confs = host.glob((conf.get("CERTDIR") or base + "/certs").replace("${BASEDIR}", base) + "/*/cert.pem")
    if not confs:
        return []
    program = host.which("dehydrated")
    if not program:
        return [_finding("client.missing", "dehydrated", "it is gone, and %d certificates are renewed by it" % len(confs), base, "apt-get install dehydrated")]
    found = _starts(host, "dehydrated", program, [program, "--version"]) + _scheduled(host, "dehydrated", "dehydrated")
    if conf.get("HOOK"):
        found += _hook(host, "dehydrated", "HOOK", conf["HOOK"].replace("${BASEDIR}", base))
    return found + _key(host, "dehydrated", host.glob(base + "/accounts/*/account_key.pem"), base + "/accounts")


def lego(context):
    """QF13: lego."""
    host = context.host
    for place in LEGOS:
        confs = [path for path in host.glob(place + "/certificates/*.crt") if not path.endswith(".issuer.crt")]
        if not confs:
            continue
        program = host.which("lego")
        if not program:
            return [_finding("client.missing", "lego", "it is gone, and %d certificates are renewed by it" % len(confs), place, "install it again")]
        found = _starts(host, "lego", program, [program, "--version"]) + _scheduled(host, "lego", "lego")
        for _path, line in _started.cron_lines(host, "lego"):
            hook = re.search(r"--(?:renew|run)-hook[= ](\"[^\"]*\"|'[^']*'|\S+)", line)
            found += _hook(host, "lego", "hook", hook.group(1).strip("\"'")) if hook else []
        return found + _key(host, "lego", host.glob(place + "/accounts/*/*/keys/*.key"), place + "/accounts")
    return []


def renewal(context):
    """QF13: every ACME client that has certificates here can renew them."""
    return [finding for client in (certbot, acme_sh, dehydrated, lego) for finding in client(context)]
