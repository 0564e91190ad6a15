# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Confirmations in a real ansible-playbook at a real terminal: a name is typed, a file is written, and the journal on the host knows both.

Runs in a mount namespace of its own with an empty /var/lib, so that the flight of the test is nobody else's.
"""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENTRY = "import os, sys; os.makedirs('/var/lib/intact', 0o700); os.execvp(sys.argv[1], sys.argv[1:])"
PLAYBOOK = """
- name: Ask
  hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
    asked:
      - {before: reboot, who: the boss, how: prompt, minutes: 1}
      - {before: reboot, who: the data centre, how: file, path: "%(place)s/yes", place: host, minutes: 1}
  tasks:
    - intact.hosting.flight: {host: web1}
      register: opened
    - intact.hosting.confirm: {state: told, confirmations: "{{ asked }}"}
    - intact.hosting.confirm: {state: pending, confirmations: "{{ asked }}", flight_id: "{{ opened['flight_id'] }}"}
      register: first
    - intact.hosting.confirm: {before: reboot, confirmations: "{{ asked }}", flight_id: "{{ opened['flight_id'] }}", poll: 0.1}
    - intact.hosting.confirm: {before: reboot, confirmations: "{{ asked }}", flight_id: "{{ opened['flight_id'] }}"}
      register: again
    - ansible.builtin.assert: {that: "first['stages'] == ['reboot'] and again is not changed and again['asked'] == [] and again['stages'] == []"}
    - ansible.builtin.copy: {src: "/var/lib/intact/flights/{{ opened['flight_id'] }}/journal.jsonl", dest: "%(place)s/journal.jsonl", mode: '0600'}
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare(1) for a /var/lib of its own")


def start(place, **streams):
    (place / "play.yml").write_text(PLAYBOOK % {"place": place})
    (place / "ansible.cfg").write_text("[defaults]\ninventory = localhost,\n")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(place / "ansible.cfg"), "ANSIBLE_HOME": str(place / "home"), "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / "collections")
    inside = ["sh", "-c", 'mount -t tmpfs none /var/lib && exec "$@"', "sh", sys.executable, "-c", ENTRY, "ansible-playbook", str(place / "play.yml")]
    return subprocess.Popen(["unshare", "-m", *inside], env=environment, **streams)


def test_a_typed_name_and_a_file_on_the_host_are_in_the_journal_and_are_not_asked_for_again(tmp_path):
    tmp_path.chmod(0o755)
    controller, terminal = pty.openpty()
    # a session of its own, whose terminal it is: Ansible asks only in the foreground
    begin = "import fcntl, os, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
    run = start(tmp_path, stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=lambda: exec(begin))
    os.close(terminal)
    seen, typed, written, quiet = b"", False, False, 0
    try:
        while True:
            if not select.select([controller], [], [], 2)[0]:
                quiet += 1
                if quiet > 120:
                    pytest.fail("nothing came for 240 s: %s" % seen[-800:])
                if typed and not written:
                    # What is typed between the question and Ansible's clearing of the terminal is thrown away: a person types again.
                    os.write(controller, b"Ada\r")
                continue
            quiet = 0
            try:
                seen += os.read(controller, 65536)
            except OSError:
                break
            if not typed and b"Type the name of who says yes" in seen:
                os.write(controller, b"Ada\r")
                typed = True
            if not written and b"waits: before stage reboot the data centre" in seen:
                (tmp_path / "half").write_text("Jo Smith\n")
                (tmp_path / "half").chmod(0o600)
                (tmp_path / "half").rename(tmp_path / "yes")
                written = True
        assert run.wait(timeout=60) == 0, seen.decode("utf-8", "replace")[-3000:]
    finally:
        run.kill()
        run.wait()
        os.close(controller)
    events = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    told = [(e["who"], e["by"], e["how"], e["what"]) for e in events if e["event"] == "confirmation"]
    assert told == [("the boss", "Ada", "prompt", "stage reboot"), ("the data centre", "Jo Smith", "file", "stage reboot")]


def test_without_a_terminal_it_is_refused_before_anything_with_what_to_do(tmp_path):
    run = start(tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = run.communicate(timeout=240)[0].decode()
    assert run.returncode != 0 and "start the playbook in a terminal, or use how: file or approval" in " ".join(output.split())
    assert not (tmp_path / "journal.jsonl").exists()
