# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which fault is shown where. `drills` are those in tests/backup_damage, which the scenario backup_damage runs with three versions of restic.

flipped bit in a pack           drills: flipped_bit_in_a_pack
missing pack                    drills: missing_pack, missing_pack_of_directories
missing index                   drills: missing_index
truncated dump                  test_databases: connection killed, end lost on the way; drills: torn_dump_makes_no_snapshot, runner_killed_while_it_streams
dump with one row less          test_databases
emptied directory               test_files
file that changes while read    test_files
unreadable file                 test_files: a disk that has lost its end; drills: unreadable_and_missing_source
wrong password                  test_repositories: through the timer's service; drills: wrong_password, refused_credentials (REST)
repository's disk full          test_repositories: SFTP; drills: repository_full (local, REST)
connection cut in the middle    test_repositories: SFTP; drills: connection_cut (REST)
process killed, then resumed    test_repositories: the whole run; drills: killed_in_the_middle_then_resumed (restic alone)
stale lock                      test_repositories: of the killed run; drills: killed_in_the_middle_then_resumed
lock of somebody who lives      test_repositories: of another host; drills: lock_of_a_living_process
clock off by a day              test_repositories: the whole run; drills: clock_off_by_a_day
manifest tampered with          test_manifest
drill target not empty or live  test_scratch
metadata 8 of 8, odd names      test_metadata; drills: names_survive
host taken over, one burned     test_taken_over; drills: append_only_survives_deletion

Each test asks for the finding's id and for the object's name, and that the run, the state or the proof does not call it good.
Every fault is mended, and a backup after it must be good; the last file is the exception. The helpers are in tests/backup_faults.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests/backup_faults"))
