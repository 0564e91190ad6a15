#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a maintenance, made and taken back on the lab's web1: faults.py inject|undo|there|absent [NAME...].

there ends with 0 when every named fault is on the host, absent when none is, found out with the host's own tools and never
with Intact's. The class of a fault says how it is made, undone and found. Works on Debian 12 and on 13 after an upgrade.
"""

from __future__ import annotations

import base64
import configparser
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

STATE = Path("/var/lib/intact-faults")
FAULTS: dict = {}


def run(*argv: str, data: str | None = None, check: bool = True) -> str:
    done = subprocess.run(argv, input=data, capture_output=True, text=True, errors="surrogateescape", check=False)
    if check and done.returncode:
        sys.exit(f"faults: {' '.join(argv)[:200]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def ok(*argv: str) -> bool:
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def wait(what: str, ready, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            sys.exit(f"faults: {what} did not come within {seconds:.0f} s")
        time.sleep(0.3)


class Fault:
    """One thing that goes wrong. A subclass's name in snake case is the fault's name."""

    def __init_subclass__(cls) -> None:
        FAULTS[re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()] = cls

    def __init__(self) -> None:
        self.keep = STATE / type(self).__name__

    def inject(self) -> None:
        raise NotImplementedError

    def undo(self) -> None:
        raise NotImplementedError

    def there(self) -> bool:
        """Whether the fault is on the host now."""
        raise NotImplementedError

    def save(self, *paths: str) -> None:
        """Keep paths with all their attributes, outside every tree that is looked at."""
        self.keep.mkdir(parents=True, exist_ok=True)
        run("tar", "--acls", "--xattrs", "--xattrs-include=*", "-cPf", str(self.keep / "saved.tar"), *paths)

    def restore(self) -> None:
        run("tar", "--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpPf", str(self.keep / "saved.tar"))


def rewrite(path: str, old: str, new: str) -> None:
    """Change a file in place: owner, mode and inode stay."""
    text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    if old not in text:
        sys.exit(f"faults: {path} does not hold {old!r}")
    with open(path, "r+", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write(text.replace(old, new, 1))
        handle.truncate()


def mariadb(sql: str) -> str:
    return run("mariadb", "--batch", "--skip-column-names", "--default-character-set=utf8mb4", data=sql).strip()


def page(name: str) -> str:
    return run("curl", "-sk", "--resolve", f"{name}:443:127.0.0.1", f"https://{name}/", check=False)


def listening(pattern: str) -> bool:
    return re.search(pattern, run("ss", "-Hltn")) is not None


class MailboxFolderGone(Fault):
    """A customer's mail of a year, lost with its folder."""

    folder = "/home/vmail/hilltop.test/orders/Maildir/.Archive.2022"

    def inject(self) -> None:
        self.save(self.folder)
        shutil.rmtree(self.folder)

    def undo(self) -> None:
        self.restore()

    def there(self) -> bool:
        return "2022" not in run("doveadm", "mailbox", "list", "-u", "orders@hilltop.test")


class RowChanged(Fault):
    """One value of 60,000 rows; every count stays."""

    def inject(self) -> None:
        mariadb("UPDATE hilltop_shop.orders SET weight = weight + 1 WHERE id = 777")

    def undo(self) -> None:
        mariadb("UPDATE hilltop_shop.orders SET weight = weight - 1 WHERE id = 777")

    def there(self) -> bool:
        count, high = mariadb("SELECT COUNT(*), MAX(weight) > 1 FROM hilltop_shop.orders").split()
        assert count == "60000", f"{count} orders: the fault must not change their number"
        return high == "1"


class BlobTruncated(Fault):
    """A picture that lost its second half, as after a charset or a packet limit in the way."""

    def inject(self) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        (self.keep / "blob").write_text(mariadb("SELECT HEX(data) FROM hilltop_shop.pictures WHERE id = 7"), encoding="ascii")
        mariadb("UPDATE hilltop_shop.pictures SET data = LEFT(data, LENGTH(data) DIV 2) WHERE id = 7")

    def undo(self) -> None:
        blob = (self.keep / "blob").read_text(encoding="ascii")
        mariadb(f"UPDATE hilltop_shop.pictures SET data = 0x{blob} WHERE id = 7")

    def there(self) -> bool:
        now = int(mariadb("SELECT LENGTH(data) FROM hilltop_shop.pictures WHERE id = 7"))
        saved = self.keep / "blob"
        return saved.exists() and now < len(saved.read_text(encoding="ascii")) // 2


class UidChanged(Fault):
    """The number of an account moved; the files in its home still have the old one."""

    def inject(self) -> None:
        rewrite("/etc/passwd", "j.doe:x:2004:", "j.doe:x:3004:")

    def undo(self) -> None:
        rewrite("/etc/passwd", "j.doe:x:3004:", "j.doe:x:2004:")

    def there(self) -> bool:
        return run("id", "-u", "j.doe").strip() != run("stat", "-c", "%u", "/home/j.doe").strip()


class AclLost(Fault):
    path = "/home/hilltop/www/menu.html"

    def inject(self) -> None:
        run("setfacl", "-n", "-x", "u:2004", self.path)

    def undo(self) -> None:
        run("setfacl", "-n", "-m", "u:2004:rw-", self.path)

    def there(self) -> bool:
        return "user:2004:rw-" not in run("getfacl", "-np", self.path)


class ServiceDisabled(Fault):
    """It still runs; after the next reboot it would not."""

    def inject(self) -> None:
        run("systemctl", "disable", "mailman3.service")

    def undo(self) -> None:
        run("systemctl", "enable", "mailman3.service")

    def there(self) -> bool:
        return run("systemctl", "is-enabled", "mailman3.service", check=False).strip() == "disabled" and ok("systemctl", "is-active", "mailman3.service")


class DocrootEmptied(Fault):
    """The site still answers on its port; there is nothing to answer with, and its SQLite file is gone too."""

    folder = "/home/harbour/guests"

    def inject(self) -> None:
        self.save(self.folder)
        for name in os.listdir(self.folder):
            os.unlink(f"{self.folder}/{name}")

    def undo(self) -> None:
        self.restore()

    def there(self) -> bool:
        return not os.listdir(self.folder)


class VhostServesAnother(Fault):
    """The wiki's name answers 200, with the bakery's pages."""

    path = "/etc/nginx/sites-available/wiki.harbour.test"

    def inject(self) -> None:
        rewrite(self.path, "root /usr/share/dokuwiki;", "root /home/hilltop/www;")
        rewrite(self.path, "index doku.php;", "index index.html;")
        run("systemctl", "reload", "nginx")
        wait("the wiki with other content", self.there)

    def undo(self) -> None:
        rewrite(self.path, "root /home/hilltop/www;", "root /usr/share/dokuwiki;")
        rewrite(self.path, "index index.html;", "index doku.php;")
        run("systemctl", "reload", "nginx")
        wait("the wiki with its own content", lambda: not self.there())

    def there(self) -> bool:
        return "Bread since 1908" in page("wiki.harbour.test")


class CertificateReplaced(Fault):
    """Another key under the same name and file, signed by nobody that a browser knows."""

    files = ("/etc/ssl/hosting/blog.northwind.test.crt", "/etc/ssl/hosting/blog.northwind.test.key")

    def inject(self) -> None:
        self.save(*self.files)
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "900"]
        argv += ["-subj", "/CN=blog.northwind.test", "-addext", "subjectAltName=DNS:blog.northwind.test"]
        run(*argv, "-keyout", str(self.keep / "key"), "-out", str(self.keep / "crt"))
        for path, name in zip(self.files, ("crt", "key"), strict=True):
            with open(path, "r+", encoding="ascii") as handle:
                handle.write((self.keep / name).read_text(encoding="ascii"))
                handle.truncate()
        run("systemctl", "reload", "nginx")
        wait("the other certificate", self.there)

    def undo(self) -> None:
        self.restore()
        run("systemctl", "reload", "nginx")
        wait("the own certificate", lambda: not self.there())

    def there(self) -> bool:
        shown = run("openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", "blog.northwind.test", data="", check=False)
        issuer = run("openssl", "x509", "-noout", "-issuer", data=shown, check=False)
        return "blog.northwind.test" in issuer


class ZoneRecordChanged(Fault):
    path = "/var/lib/bind/hilltop.test.zone"

    def inject(self) -> None:
        self.save(self.path)
        rewrite(self.path, "mail    300 IN A    192.0.2.10", "mail    300 IN A    192.0.2.66")
        rewrite(self.path, "2024030201", "2024030202")
        run("rndc", "reload", "hilltop.test")
        wait("the other record", self.there)

    def undo(self) -> None:
        self.restore()
        # an older serial: named takes it only when it starts
        run("systemctl", "restart", "named")
        wait("the own record", lambda: not self.there() and ok("dig", "+short", "@127.0.0.1", "northwind.test", "SOA"))

    def there(self) -> bool:
        return "192.0.2.66" in run("dig", "+short", "@127.0.0.1", "mail.hilltop.test", "A", check=False)


class ListMemberLost(Fault):
    list_id, member = "crew.lists.harbour.test", "guest3@example.test"

    def rest(self, method: str, path: str, body: dict | None = None) -> dict:
        config = configparser.ConfigParser(interpolation=None, strict=False)
        config.read("/etc/mailman3/mailman.cfg")
        pair = f"{config['webservice']['admin_user']}:{config['webservice']['admin_pass']}".encode()
        headers = {"Authorization": "Basic " + base64.b64encode(pair).decode(), "Content-Type": "application/json"}
        request = urllib.request.Request("http://127.0.0.1:8001/3.1/" + path, json.dumps(body).encode() if body else None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as exc:
            if exc.code == 404:
                return {}
            raise
        return json.loads(text) if text else {}

    def found(self) -> dict:
        body = {"list_id": self.list_id, "subscriber": self.member, "role": "member"}
        return (self.rest("POST", "members/find", body).get("entries") or [{}])[0]

    def inject(self) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        member = self.found()
        (self.keep / "member").write_text(json.dumps(member), encoding="utf-8")
        self.rest("DELETE", "members/" + member["member_id"], {"pre_confirmed": True, "pre_approved": True})

    def undo(self) -> None:
        before = json.loads((self.keep / "member").read_text(encoding="utf-8"))
        made = {"pre_verified": True, "pre_confirmed": True, "pre_approved": True, "send_welcome_message": False}
        made.update({"list_id": self.list_id, "subscriber": self.member, "display_name": before["display_name"], "delivery_mode": before["delivery_mode"]})
        if before.get("delivery_status") != "enabled":
            made["delivery_status"] = "by_user"
        self.rest("POST", "members", made)

    def there(self) -> bool:
        said = run("runuser", "-u", "list", "--", "mailman", "members", self.list_id)
        assert "guest4@example.test" in said, "mailman does not list the others either"
        return self.member not in said


class CronJobLost(Fault):
    path = "/var/spool/cron/crontabs/hilltop"

    def inject(self) -> None:
        self.save(self.path)
        lines = Path(self.path).read_text(encoding="utf-8").splitlines(keepends=True)
        with open(self.path, "r+", encoding="utf-8") as handle:
            handle.write("".join(line for line in lines if "-mtime +365 -delete" not in line))
            handle.truncate()

    def undo(self) -> None:
        self.restore()

    def there(self) -> bool:
        return "-delete" not in run("crontab", "-u", "hilltop", "-l")


class FirewallRuleLost(Fault):
    def inject(self) -> None:
        listed = run("nft", "-a", "list", "chain", "inet", "hosting", "input")
        handle = re.search(r"tcp dport \{ 3306, 5432 \}.*# handle (\d+)", listed).group(1)
        run("nft", "delete", "rule", "inet", "hosting", "input", "handle", handle)

    def undo(self) -> None:
        run("nft", "-f", "/etc/nftables.conf")

    def there(self) -> bool:
        return "5432" not in run("nft", "list", "chain", "inet", "hosting", "input")


class CapabilityLost(Fault):
    path = "/home/hilltop/bin/port-check"

    def inject(self) -> None:
        run("setcap", "-r", self.path)

    def undo(self) -> None:
        run("setcap", "cap_net_raw,cap_net_bind_service=ep", self.path)

    def there(self) -> bool:
        return "cap_net" not in run("getcap", self.path)


class ListenerNew(Fault):
    """Something answers on a port where nothing did."""

    def inject(self) -> None:
        argv = ["python3", "-m", "http.server", "8099", "--directory", "/usr/share/doc"]
        self.keep.mkdir(parents=True, exist_ok=True)
        done = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        (self.keep / "pid").write_text(str(done.pid), encoding="ascii")
        wait("port 8099", self.there)

    def undo(self) -> None:
        os.kill(int((self.keep / "pid").read_text(encoding="ascii")), signal.SIGTERM)
        wait("port 8099 to close", lambda: not self.there())

    def there(self) -> bool:
        return listening(r":8099\s")


class PackageRemoved(Fault):
    """A tool that no plan named."""

    name = "unzip"

    def inject(self) -> None:
        files = [path for path in run("dpkg", "-L", self.name).splitlines() if os.path.isfile(path) or os.path.islink(path)]
        self.save("/var/lib/dpkg/status", *glob.glob(f"/var/lib/dpkg/info/{self.name}.*"), *files)
        run("dpkg", "--purge", self.name)

    def undo(self) -> None:
        self.restore()

    def there(self) -> bool:
        return not ok("dpkg", "-s", self.name) and shutil.which("unzip") is None


class Ipv6BindingLost(Fault):
    """sshd on IPv4 alone: every test over IPv4 is green."""

    folder = "/run/systemd/system/ssh.service.d"

    def inject(self) -> None:
        os.makedirs(self.folder, exist_ok=True)
        Path(f"{self.folder}/four.conf").write_text("[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -4\n", encoding="ascii")
        self.restart()
        wait("sshd on IPv4 alone", self.there)

    def undo(self) -> None:
        os.unlink(f"{self.folder}/four.conf")
        os.rmdir(self.folder)
        self.restart()
        wait("sshd on IPv6", lambda: not self.there())

    def restart(self) -> None:
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", "ssh.service")
        wait("sshd", lambda: listening(r"0\.0\.0\.0:22\s"))

    def there(self) -> bool:
        return listening(r"0\.0\.0\.0:22\s") and not listening(r"\[::\]:22\s")


class MailQueueVanished(Fault):
    """What customers had sent and nobody had taken yet."""

    def inject(self) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        moved = {}
        for path in glob.glob("/var/spool/postfix/defer*/?/*"):
            # a rename keeps the inode, which is a part of the message's name in the queue
            kept = str(self.keep / str(len(moved)))
            os.rename(path, kept)
            moved[kept] = path
        (self.keep / "moved.json").write_text(json.dumps(moved), encoding="utf-8")

    def undo(self) -> None:
        for kept, path in json.loads((self.keep / "moved.json").read_text(encoding="utf-8")).items():
            os.rename(kept, path)
        wait("the message in the queue", lambda: not self.there())

    def there(self) -> bool:
        return not run("postqueue", "-j").strip()


class MountMissing(Fault):
    """The data disk was not mounted, and an old copy of some homes lies in the mount point."""

    def inject(self) -> None:
        unmount("/home")
        for name in ("hilltop/www", "carol"):
            os.makedirs(f"/home/{name}")
        Path("/home/hilltop/www/index.html").write_text("<h1>Hilltop Bakery, our new site of 2014</h1>\n", encoding="ascii")
        Path("/home/carol/notes.txt").write_text("old notes\n", encoding="ascii")

    def undo(self) -> None:
        for name in ("hilltop", "carol"):
            shutil.rmtree(f"/home/{name}")
        run("mount", "/home")
        settle()

    def there(self) -> bool:
        return not os.path.ismount("/home") and os.path.isdir("/home/carol")


class DiskReplaced(Fault):
    """Another, empty disk under the same mount point, and an fstab that agrees with it."""

    uuid = "0e9b7a44-57aa-4f7d-8f0e-000000000e0e"

    def inject(self) -> None:
        self.save("/etc/fstab")
        old = run("findmnt", "-no", "UUID", "/home").strip()
        spare = self.spare()
        run("mkfs.ext4", "-q", "-F", "-U", self.uuid, "-L", "home", spare)
        unmount("/home")
        rewrite("/etc/fstab", f"UUID={old}", f"UUID={self.uuid}")
        link = f"/dev/disk/by-uuid/{self.uuid}"
        if not os.path.lexists(link):
            os.symlink(spare, link)
        run("mount", "/home")

    def undo(self) -> None:
        unmount("/home")
        run("wipefs", "-qa", self.spare())
        os.unlink(f"/dev/disk/by-uuid/{self.uuid}")
        self.restore()
        run("systemctl", "daemon-reload")
        run("mount", "/home")
        settle()

    def there(self) -> bool:
        return os.path.ismount("/home") and os.listdir("/home") == ["lost+found"]

    def spare(self) -> str:
        """The data disk that is not mounted."""
        for device in glob.glob("/dev/loop[0-9]*"):
            if "ext4" not in run("blkid", device, check=False) or self.uuid in run("blkid", device, check=False):
                return device
        sys.exit("faults: this host has no second, empty disk")


# Users of /home that keep files open there.
HOME_SERVICES = ("dovecot.service", "postfix.service", "php*-fpm.service", "nginx.service")


def unmount(point: str) -> None:
    for unit in HOME_SERVICES:
        run("systemctl", "stop", unit)
    run("systemctl", "daemon-reload")
    run("umount", point)
    settle()


def settle() -> None:
    """Start again what unmount() stopped; some of it may not start without its files, which is part of the fault."""
    units = []
    for unit in HOME_SERVICES:
        enabled = run("systemctl", "list-unit-files", "--no-legend", "--state=enabled", unit).split()
        units += [word for word in enabled if word.endswith(".service")]
    for unit in units:
        run("systemctl", "restart", unit, check=False)
    time.sleep(1)


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in ("inject", "undo", "there", "absent"):
        sys.exit(__doc__)
    action, names = sys.argv[1], sys.argv[2:] or list(FAULTS)
    STATE.mkdir(mode=0o700, exist_ok=True)
    wrong = []
    for name in reversed(names) if action == "undo" else names:
        fault = FAULTS[name]()
        if action in ("there", "absent"):
            if fault.there() != (action == "there"):
                wrong.append(name)
        else:
            getattr(fault, action)()
    if wrong:
        print(f"not {action}: {' '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
