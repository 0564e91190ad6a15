# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The callback in a real ansible-playbook: on a terminal, in a pipe, and when Ctrl-C comes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Stands in for the watching action: plays a host's states into progress.json.
ACTION = """
import json, os, time
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        place = self._task.args["progress_directory"]
        os.makedirs(place, exist_ok=True)
        number, end = 0, time.monotonic() + 40
        while number < int(self._task.args["looks"]):
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            state = {"host": task_vars["inventory_hostname"], "status": "running", "stage": "minimal" if number < 4 else "full", "stages": {},
                     "order": ["bind", "minimal", "full"], "done": number * 10, "total": 200, "unit": "packages", "started": now}
            with open(place + "/new", "w") as handle:
                json.dump(state, handle)
            os.rename(place + "/new", place + "/progress.json")
            time.sleep(0.5)
            # the first stage lasts until the test has read it, however busy the machine
            if number != 3 or os.path.exists(self._task.args["read"]) or time.monotonic() > end:
                number += 1
        return dict(result, changed=True)
"""
# Stands in for the module that opens the flight: the budget is said there.
OPENING = """
import time
from ansible.plugins.action import ActionBase
class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        opened = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 120))
        return dict(super().run(tmp, task_vars), opened=opened, budget_seconds=600, budgets={"minimal": 300, "full": 1})
"""
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Before
      ansible.builtin.debug: {msg: before}
    - name: Open
      flight:
    - name: Watch
      upgrade_watch: {progress_directory: "%s/flights/{{ inventory_hostname }}-upgrade-x", looks: "{{ looks }}", read: "{{ read }}"}
    - name: After
      ansible.builtin.debug: {msg: after}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "playbooks" / "action_plugins").mkdir(parents=True)
    (tmp_path / "playbooks" / "action_plugins" / "upgrade_watch.py").write_text(ACTION)
    (tmp_path / "ansible.cfg").write_text("[defaults]\n")
    (tmp_path / "playbooks" / "action_plugins" / "flight.py").write_text(OPENING)
    (tmp_path / "playbooks" / "library").mkdir()
    (tmp_path / "playbooks" / "library" / "flight.py").write_text("")
    (tmp_path / "playbooks" / "library" / "upgrade_watch.py").write_text("")
    (tmp_path / "playbooks" / "play.yml").write_text(PLAYBOOK % tmp_path)
    return tmp_path


def start(project, looks=8, hosts="web1,web2,", read="/", **more):
    """ansible-playbook, begun. The first stage lasts until the path `read` is there."""
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "JOB_ID", "AWX_ISOLATED_DATA_DIR", "NO_COLOR", "COLUMNS", "LINES")}
    environment.update(
        ANSIBLE_CALLBACKS_ENABLED="intact.hosting.flight_progress",
        ANSIBLE_COLLECTIONS_PATH=str(ROOT / "collections"),
        ANSIBLE_CONFIG=str(project / "ansible.cfg"),
        ANSIBLE_LOCALHOST_WARNING="false",
        TERM="xterm",
        LC_ALL="C.UTF-8",
        **more.pop("env", {}),
    )
    program = Path(sys.executable).parent / "ansible-playbook"
    return subprocess.Popen(
        [str(program), "-i", hosts, "-c", "local", str(project / "playbooks" / "play.yml"), "-e", "looks=%d read=%s" % (looks, read)],
        env=environment,
        cwd=project,
        **more,
    )


def on_terminal(project, act=None, **more):
    """(exit status, all that came to a terminal of 120 columns). act(seen, process) may do something meanwhile."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    process = start(project, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, **more)
    os.close(theirs)
    seen, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        ready, _w, _x = select.select([ours], [], [], 0.2)
        if ready:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
        elif process.poll() is not None:
            break
        if act:
            act(seen, process)
    os.close(ours)
    return process.wait(timeout=20), seen.decode()


def screen(text):
    """What stands on the terminal at the end: cursor up, carriage return, erase below."""
    lines, row = [""], 0
    for piece in re.findall(r"\x1b\[(\d*)([A-Za-z])|(\x1b\[[\d;]*m)|(\r?\n)|(\r)|([^\x1b\r\n]+)", re.sub(r"\x1b\[[\d;]*m", "", text)):
        number, letter, _colour, newline, _return, plain = piece
        if letter == "A":
            row -= int(number or 1)
        elif letter == "J":
            del lines[row + 1 :]
            lines[row] = ""
        elif newline:
            row += 1
            if row == len(lines):
                lines.append("")
        elif plain:
            lines[row] = plain if not lines[row] else lines[row] + plain
    return lines


def test_on_a_terminal_one_line_for_each_host_is_redrawn(project):
    read = project / "read"
    status, text = on_terminal(project, lambda seen, _process: b"[##---" in seen and read.touch(), read=read)
    assert status == 0
    assert text.count("\x1b[2A\r\x1b[J") >= 1, "both lines were drawn anew in place"
    assert "[##--------------]" in text and "upgrade without removals 2/3" in text
    left = screen(text)
    assert [line.split("  ")[0] for line in left if "upgrade fully" in line] == ["web1", "web2"], "the last state stays, once"
    assert sum(line.startswith("changed: [web") for line in left) == 2 and sum("PLAY RECAP" in line for line in left) == 1
    assert "ok: [web1] => {" in left and "Traceback" not in text


def test_in_a_pipe_plain_lines_at_each_change(project):
    read, text = project / "read", ""
    with start(project, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, read=read) as process:
        for line in process.stdout:
            text += line
            if "web2: " in text and "web1: " in text:
                read.touch()
    assert process.returncode == 0 and "\x1b[" not in text
    mine = [line for line in text.splitlines() if line.startswith("web1: ")]
    assert all(re.search(r", 2 min( \d\d s)? of 10 min, ", line) for line in mine) and "stage 0 s of 5 min" in mine[0]
    assert 2 <= len(mine) <= 3 and "upgrade without removals 2/3" in mine[0] and "upgrade fully 3/3" in mine[1] and "of 200 packages" in mine[1]


def test_under_ansible_runner_a_terminal_is_no_terminal(project):
    _status, text = on_terminal(project, env={"AWX_ISOLATED_DATA_DIR": "/x"})
    assert "\x1b[1A" not in text and "\x1b[2A" not in text and "web1: upgrade fully 3/3" in text


def test_ctrl_c_leaves_a_clean_terminal(project):
    sent = []

    def act(seen, process):
        if b"[##" in seen and not sent:
            sent.append(True)
            os.killpg(process.pid, signal.SIGINT)

    begun = time.monotonic()
    status, text = on_terminal(project, act, looks=60)
    assert sent and status != 0 and time.monotonic() - begun < 40 and "Traceback" not in text
    assert "interrupted" in text.lower()


@pytest.mark.parametrize("style", ["off", "plain"])
def test_style_is_an_option(project, style):
    _status, text = on_terminal(project, env={"INTACT_PROGRESS": style}, looks=3)
    assert ("web1: upgrade" in text) == (style == "plain") and "\x1b[2A" not in text


def test_no_flights_at_all_is_no_error(project):
    process = start(project, looks=2, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={"INTACT_FLIGHTS_DIR": str(project / "nowhere")})
    text, _none = process.communicate(timeout=60)
    assert process.returncode == 0 and "web1: " not in text and "Error" not in text


def test_a_pipe_shows_lines_while_the_work_goes_on(project):
    """ansible-core itself leaves a pipe unflushed until its end: the operator would read nothing for ten minutes."""
    process = start(project, looks=60, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seen, end = b"", time.monotonic() + 40
    os.set_blocking(process.stdout.fileno(), False)
    while b"packages" not in seen and process.poll() is None and time.monotonic() < end:
        seen += process.stdout.read() or b""
        time.sleep(0.1)
    running = process.poll() is None
    process.kill()
    process.wait(timeout=20)
    assert running, "the run ended before a line was seen"
    assert b"packages" in seen, seen.decode()


def test_the_place_of_flights_may_be_an_extra_variable(project):
    play = project / "playbooks" / "play.yml"
    play.write_text(play.read_text().replace(f"{project}/flights/", f"{project}/elsewhere/"))
    program = Path(sys.executable).parent / "ansible-playbook"
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACKS_ENABLED": "intact.hosting.flight_progress",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
        "LC_ALL": "C.UTF-8",
    }
    argv = [str(program), "-i", "web1,", "-c", "local", str(play), "-e", "looks=8 read=/", "-e", f"intact_flights_dir={project}/elsewhere"]
    done = subprocess.run(argv, cwd=project, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "packages" in done.stdout
