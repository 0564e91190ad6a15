# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who decides about a configuration file."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _conffiles
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

ENTRIES = [{"path": "/etc/ssh/*", "decision": "keep", "reason": "keys"}, {"path": "/etc/ssh/sshd_config", "decision": "replace", "reason": "late"}]


@pytest.mark.parametrize(
    "path, default, laid, choice",
    [
        ("/etc/ssh/sshd_config", "", (), "keep"),
        ("/etc/ssh/sshd_config", "", ("/etc/ssh/sshd_config",), "merge"),
        ("/etc/crontab", "", (), ""),
        ("/etc/crontab", "keep", (), "keep"),
    ],
)
def test_decision(path, default, laid, choice):
    decided, why = _conffiles.decision(path, ENTRIES, default, laid)
    assert decided == choice and bool(why) == bool(choice)


@pytest.mark.parametrize("path, delicate", [("/etc/ssh/sshd_config", True), ("/etc/sudoers.d/x", True), ("/etc/pam.d/sshd", True), ("/etc/crontab", False)])
def test_delicate(path, delicate):
    assert _conffiles.delicate(path) is delicate


@pytest.mark.parametrize("entry, word", [({"path": "/x", "decision": "keep"}, "lacks reason"), ({"path": "/x", "decision": "drop", "reason": "r"}, "'drop'")])
def test_a_decision_that_nobody_could_follow_is_refused(entry, word):
    with pytest.raises(IntactError, match=word):
        _conffiles.check([entry])
