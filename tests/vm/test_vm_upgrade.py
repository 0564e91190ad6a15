# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real Debian 12 on LVM becomes 13 through its own boot loader, boots twice, and goes back to 12 with nothing lost and everything saved.

What the playbooks say is not believed: files, packages, kernel, volumes and the database are asked for over SSH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import vm_image
import vm_lab
import vm_upgrade
from vm_machine import Machine, accelerator, overlay

if not os.environ.get("INTACT_VM_UPGRADE"):
    pytest.skip("a real upgrade takes an hour and more: 'make test-vm-upgrade' runs it", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
HOST = "web1"
WHY = {"reason": "a lab machine", "who": "the test", "expires": "2099-12-31"}
VARIABLES = {
    "intact_hosts": HOST,
    "intact_python_interpreter": "/usr/bin/python3",
    "intact_rollback": {"driver": "lvm", "automatic": True, "sizes": {"/": 3700, "/var": 2700}},
    "preflight_waivers": [
        {"id": "backup.unproven", "subject": "*", **WHY},
        # Its kernel and packages are the image's, minutes old.
        {"id": "release.unpatched", "subject": "*", **WHY},
    ],
    "postflight_allowed": [
        {
            "section": "files",
            "path": "/etc/default/grub",
            "id": "files.content.changed",
            "reason": "grub-pc's script writes GRUB_DISABLE_OS_PROBER as debconf has it, which is GRUB's own default",
        },
    ],
    "distro_upgrade_conffile_default": "keep",
    "postflight_conffile_default": "keep",
}
# Everything that must be as it was; what only time, logs and this project's own notes change is left out.
MANIFEST = """
{ find / /var /boot -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /root/.ansible -o -path /var/log -o -path /var/tmp \\
    -o -path /var/lib/intact -o -path /var/cache -o -path /var/lib/systemd -o -path /var/lib/mysql -o -path /var/lib/postfix -o -path /var/spool/postfix \\
    -o -path /boot/grub/i386-pc/core.img -o -path /var/lib/private -o -path /etc/lvm/archive -o -path /etc/lvm/backup \\) -prune -o -type f -print0 \\
    | sort -zu | xargs -0r sha256sum
  find /etc /usr /boot -xdev -type l -printf '%p -> %l\\n' | sort; dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'; }
"""

# The new system loses a site at its first start; the old one never does.
FAULT = """
cat >/etc/systemd/system/fault.service <<'UNIT'
[Service]
Type=oneshot
ExecStart=/bin/sh -c '! grep -q trixie /etc/os-release || rm -rf /var/www/shop'
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable fault.service
"""


def log(text: str) -> None:
    print(f"vm-upgrade: {text}", file=sys.stderr, flush=True)


class Server:
    """The machine, and playbooks that are run on it from here."""

    def __init__(self, folder: Path, disk: Path) -> None:
        self.folder = folder
        self.machine = Machine(folder, overlay(disk, folder / "root.qcow2"), {}, accelerator(vm_image.ensure(vm_lab.LOG)), memory=vm_upgrade.MEMORY)
        self.seconds: dict[str, float] = {}
        options = f"-o UserKnownHostsFile={folder / 'known_hosts'} -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
        host = {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.machine.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.machine.key),
            "ansible_ssh_common_args": options,
        }
        (folder / "hosts.json").write_text(json.dumps({"all": {"hosts": {HOST: host}}}), encoding="utf-8")
        (folder / "inventory.yml").write_text((folder / "hosts.json").read_text(encoding="utf-8"), encoding="utf-8")

    def play(self, name: str, label: str, expect: int = 0, **more: object) -> str:
        """Run one of the playbooks; what it printed. Its seconds are kept under the label."""
        variables = self.folder / f"{label}.json"
        variables.write_text(json.dumps({**VARIABLES, "intact_flights_dir": str(self.folder / "flights"), **more}), encoding="utf-8")
        argv = ["ansible-playbook", "-i", str(self.folder / "inventory.yml"), str(ROOT / "playbooks" / name), "-e", f"@{variables}"]
        began = time.monotonic()
        done = subprocess.run(
            argv, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False
        )
        self.seconds[label] = round(time.monotonic() - began)
        (self.folder / f"{label}.log").write_text(done.stdout, encoding="utf-8")
        log(f"{label}: {self.seconds[label]} s, status {done.returncode}")
        assert (done.returncode == 0) == (expect == 0), f"{name} ended with {done.returncode}:\n{done.stdout[-6000:]}"
        return done.stdout

    def run(self, script: str, seconds: float = 600) -> str:
        return self.machine.run(script, seconds=seconds)

    def manifest(self) -> set[str]:
        return set(self.run(MANIFEST, seconds=1800).splitlines())

    def kernel(self) -> str:
        return self.run("uname -r").strip()

    def release(self) -> str:
        return self.run(". /etc/os-release; echo $VERSION_CODENAME").strip()

    def flight(self) -> str:
        return max((self.folder / "flights").iterdir(), key=lambda path: path.stat().st_mtime).name

    def write_since(self) -> None:
        """An order and a mail that only the new system knows."""
        self.run("mariadb -e \"INSERT INTO shop.orders VALUES (2, 'after the upgrade')\"")
        self.run("printf 'Subject: after\\n\\nafter the upgrade\\n' | sendmail anna")
        self.run("for n in $(seq 120); do ! grep -rqs 'after the upgrade' /home/anna/Maildir || exit 0; sleep 1; done; exit 1", seconds=300)

    def is_the_old_one(self, before: set[str], kernel: str) -> None:
        """By other routes than the playbooks': the release, the kernel, every file and package, the volumes, the database, what was saved."""
        assert (self.release(), self.kernel()) == ("bookworm", kernel)
        # its first moments: the database is still starting
        self.run("systemctl is-system-running --wait || systemctl --failed --no-legend", seconds=900)
        now = self.manifest()
        assert now == before, "\n".join(sorted(now ^ before)[:40])
        assert "intact-" not in self.run("lvs --noheadings -a -o lv_name vg0")
        assert self.run("mariadb -N -e 'SELECT id FROM shop.orders'").split() == ["1"]
        assert "boot=intact" not in self.run("cat /boot/grub/grub.cfg") and self.run("ls -d /boot/intact-* 2>/dev/null || true") == ""
        # systemctl calls it a failure that there are none
        assert self.run("systemctl list-unit-files 'intact-*' --no-legend || true").strip() == ""
        kept = json.loads(self.run("cat /var/lib/intact/kept/*/kept.json"))
        tables = {t["table"]: (t["before"], t["after"]) for entry in kept["databases"] for t in entry["tables"]}
        assert tables["shop.orders"] == (1, 2) and kept["counts"]["messages"] >= 1 and not kept["unsaved"]
        assert "after the upgrade" in self.run("cat /var/lib/intact/kept/*/databases/mysql/shop.sql")
        assert self.run("grep -rl 'after the upgrade' /var/lib/intact/kept/*/mail | wc -l").strip() == "1"


@pytest.fixture
def server():
    disk = vm_upgrade.ensure(vm_lab.LOG)
    folder = Path(tempfile.mkdtemp(prefix="intact-vm."))
    made = Server(folder, disk)
    try:
        made.machine.start(600)
        yield made
        log("seconds: " + json.dumps(made.seconds))
    finally:
        made.machine.stop()
        if os.environ.get("INTACT_VM_KEEP"):
            log(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def test_up_through_its_boot_loader_twice_and_back_by_hand(server):
    before, kernel = server.manifest(), server.kernel()
    # Watched: a flight that is over lets go of its snapshots.
    server.play("upgrade-host.yml", "upgrade", intact_watch_hours=6)
    assert server.release() == "trixie" and server.kernel() != kernel
    assert server.run("dpkg --audit") == ""
    assert {"intact-%s-root" % server.flight(), "intact-%s-var" % server.flight()} <= set(server.run("lvs --noheadings -o lv_name vg0").split())
    newer = server.kernel()
    server.machine.reboot(900)
    assert server.kernel() == newer
    server.play("verify-host.yml", "verify", postflight_release_path="debian-12-13")
    server.write_since()
    told = server.play("roll-back-host.yml", "refused", expect=2, rollback_confirm="not this one")
    assert "shop.orders: 1 rows, now 2" in told and "nothing was done" in told and server.release() == "trixie"
    server.play("roll-back-host.yml", "back", rollback_confirm=server.flight(), rollback_why="the test wants it")
    server.is_the_old_one(before, kernel)
    server.machine.reboot(900)
    server.is_the_old_one(before, kernel)


def test_a_red_post_flight_goes_back_by_itself(server):
    # Before the manifest: it belongs to the old system.
    server.run(FAULT)
    before, kernel = server.manifest(), server.kernel()
    told = server.play("upgrade-host.yml", "red", expect=2)
    assert "NO GO" in told and (server.release(), server.kernel()) == ("bookworm", kernel)
    assert server.run("cat /var/www/shop/index.html").strip() == "<h1>shop</h1>"
    now = server.manifest()
    assert now == before, "\n".join(sorted(now ^ before)[:40])
    events = [json.loads(line) for line in server.run("cat /var/lib/intact/flights/*/journal.jsonl").splitlines()]
    assert [event["verdict"] for event in events if event["event"] == "flight.close"] == ["rolled-back"]
    record = json.loads(server.run("cat /var/lib/intact/upgrade/*/rollback.json"))
    log("steps of going back: " + json.dumps({name: step["seconds"] for name, step in record["steps"].items()}))
