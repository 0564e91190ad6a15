# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays that go from host to host: one that fails ends the run, an observer that is gone does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PLAYBOOKS = sorted((Path(__file__).resolve().parents[2] / "playbooks").glob("*.yml"))
ONE_BY_ONE = {"upgrade-host.yml", "roll-back-host.yml", "migrate-legacy-disk.yml"}
KEYWORDS = ("serial", "any_errors_fatal", "max_fail_percentage")
INVENTORY = """all:
  vars: {ansible_connection: local, ansible_python_interpreter: "%s"}
  hosts:
    one:
    two:
    gone: {ansible_connection: ssh, ansible_host: 127.0.0.1, ansible_port: 9}
"""
TASKS = """  hosts: one,two
  gather_facts: false
  tasks:
    - name: Fly
      block:
        - name: An observer that is gone
          ansible.builtin.ping:
          delegate_to: gone
          ignore_unreachable: true
        - name: Flies
          ansible.builtin.debug:
            msg: "{{ inventory_hostname }} flew"
        - name: Fails
          ansible.builtin.fail:
            msg: lost
          when: inventory_hostname == fails | default('')
      rescue:
        - name: Keep the reason
          ansible.builtin.set_fact:
            reason: lost
      always:
        - name: Close
          ansible.builtin.debug:
            msg: "{{ inventory_hostname }} closed"
    - name: End as it ended
      ansible.builtin.fail:
        msg: lost
      when: reason is defined
"""


def plays(path):
    return [play for play in yaml.safe_load(path.read_text()) if "hosts" in play]


def test_no_play_takes_an_ignored_host_for_the_end():
    """ansible-core counts an unreachable host as fatal under any_errors_fatal, also where the task says ignore_unreachable."""
    assert [path.name for path in PLAYBOOKS for play in plays(path) if play.get("any_errors_fatal")] == []


def keywords(name):
    """Of the playbook's play with hosts one by one, what decides over the next host."""
    (play,) = [play for play in plays(next(path for path in PLAYBOOKS if path.name == name)) if "serial" in play]
    return dict({key: play[key] for key in KEYWORDS if key in play}, serial=1)


def run(tmp_path, name, **given):
    (tmp_path / "hosts.yml").write_text(INVENTORY % sys.executable)
    head = yaml.safe_dump(keywords(name)).replace("\n", "\n  ").rstrip(" ")
    (tmp_path / "play.yml").write_text("- name: Hosts\n  " + head + TASKS)
    argv = [
        "ansible-playbook",
        f"--inventory={tmp_path / 'hosts.yml'}",
        str(tmp_path / "play.yml"),
        *[f"--extra-vars={key}={value}" for key, value in given.items()],
    ]
    env = {**os.environ, "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_SSH_RETRIES": "0", "ANSIBLE_TIMEOUT": "30"}
    return subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", sorted(ONE_BY_ONE))
def test_an_observer_that_is_gone_cuts_no_flight_and_grounds_no_host(tmp_path, name):
    done = run(tmp_path, name)
    said = [word for word in ("one flew", "one closed", "two flew", "two closed") if f'"msg": "{word}"' in done.stdout]
    assert (done.returncode, said) == (0, ["one flew", "one closed", "two flew", "two closed"]), done.stdout


@pytest.mark.parametrize("name", sorted(ONE_BY_ONE))
def test_a_host_that_fails_is_closed_and_grounds_the_next(tmp_path, name):
    done = run(tmp_path, name, fails="one")
    assert done.returncode == 2 and '"msg": "one closed"' in done.stdout and "two flew" not in done.stdout
