# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits before the tasks whose names hold one of the lines of HOLD_BEFORE, until Ctrl-C comes: the drill's nervous operator
is no faster than a task of half a second on a busy machine."""

from __future__ import annotations

import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: hold_before
type: notification
short_description: Waits before named tasks until Ctrl-C comes
description: A part of the scenario upgrade_host, told by nervous.py through the environment.
"""
# One that nobody hits goes on; the test then misses its stage.
LONGEST = 120.0


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "hold_before"

    def v2_playbook_on_task_start(self, task, is_conditional):
        if any(words in task.get_name() for words in os.environ.get("HOLD_BEFORE", "").splitlines()):
            time.sleep(LONGEST)
