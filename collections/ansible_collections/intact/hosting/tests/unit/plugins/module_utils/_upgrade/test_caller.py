# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's address, as the process that sudo started can still find it."""

from __future__ import annotations

import os
import subprocess
import sys

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _caller

PROGRAM = "from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _caller; print(_caller.connection())"


def call(argv, **variables):
    env = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PATH": os.environ["PATH"], **variables}
    return subprocess.run(argv + [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True).stdout.strip()


def test_what_sudo_takes_away_its_parent_still_has():
    said = "192.0.2.7 51234 192.0.2.1 22"
    assert call([], SSH_CONNECTION=said) == "192.0.2.7"
    # The shell keeps running, with the variable, while what it starts has none.
    inner = 'unset SSH_CONNECTION; "$@"; exit $?'
    assert call(["sh", "-c", inner, "sh"], SSH_CONNECTION="2001:db8::7 51234 2001:db8::1 22") == "2001:db8::7"
    assert call(["sh", "-c", 'env -u SSH_CONNECTION "$@"; exit $?', "sh"], SSH_CONNECTION=said) == "192.0.2.7"
    assert call([], SSH_CONNECTION="nonsense") == ""


def test_no_session_is_no_address(tmp_path):
    for number, parent in ((7, 5), (5, 1)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "environ").write_bytes(b"HOME=/root\0")
        (tmp_path / str(number) / "stat").write_text("%d (a ) b) S %d 0 0" % (number, parent))
    assert _caller.connection(7, str(tmp_path)) == ""
    assert _caller.connection(99, str(tmp_path)) == ""
    (tmp_path / "5" / "environ").write_bytes(b"A=B\0SSH_CONNECTION=198.51.100.9 1 192.0.2.1 22\0")
    assert _caller.connection(7, str(tmp_path)) == "198.51.100.9"
