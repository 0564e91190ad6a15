# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a failed step tells on the terminal."""

import steps


def test_telling_picks_what_went_wrong_and_leaves_the_noise(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("TASK [Upgrade] ***\nchanged: [web1]\nfatal: [web1]: FAILED! => " + "x" * 900 + "\nE   assert 1 == 2\nok: [web1]\n")
    said = steps.telling(log).splitlines()
    assert [line.split(":")[0].strip() for line in said] == ["fatal", "E   assert 1 == 2"]
    assert max(map(len, said)) <= 604


def test_telling_knows_the_linters_lines(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("sanity: running\n:0:0: The test `ansible-doc` failed\ntests/unit/test_lists.py:90:57: arguments-out-of-order\n")
    assert len(steps.telling(log).splitlines()) == 2


def test_telling_keeps_the_last_and_needs_no_log(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("".join(f"E   line {n}\n" for n in range(50)))
    assert steps.telling(log, lines=2).split("\n") == ["    E   line 48", "    E   line 49"]
    assert steps.telling(tmp_path / "absent.log") == ""
