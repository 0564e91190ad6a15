# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the phase jobs with the real crontab in a mount namespace of its own, where /etc's accounts and cron's spool are scratch ones. Prints JSON.

Arguments: old root, new root, directory of the migration, words: check, run, new, old, enable=USER, cut=USER, spool, accounts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from ansible_collections.intact.hosting.plugins.module_utils._migration import _class_accounts, _class_jobs, _cron_block, _cron_install, jobs
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration.identity_fixture import StandIn, read


def cut(context, user):
    """Run until a user's crontab was replaced, and no further."""
    real = _cron_install.install

    def install(system, who, *more):
        done = real(system, who, *more)
        if who == user:
            raise KeyboardInterrupt
        return done

    _cron_install.install = install
    try:
        jobs.run(context)
    except KeyboardInterrupt:
        return "cut"
    finally:
        _cron_install.install = real
    return "not cut"


def main():
    """Do each word in turn."""
    old, new, directory = sys.argv[1:4]
    for kind in ("passwd", "shadow", "group"):
        subprocess.run(["mount", "--bind", new + "/etc/" + kind, "/etc/" + kind], check=True)
    if os.path.isdir("/var/spool/cron"):
        subprocess.run(["mount", "--bind", new + "/spool", "/var/spool/cron"], check=True)
    context = StandIn(old, new, directory)
    context.system = System()
    out = []
    for word in sys.argv[4:]:
        if word in ("check", "run"):
            out.append(jobs.run(context, check=word == "check"))
        elif word.startswith("enable="):
            user = word[7:]
            out.append(subprocess.run(["sh", "-c", _cron_block.ENABLE % (user, user)], check=True, capture_output=True, text=True).stdout)
        elif word.startswith("cut="):
            out.append(cut(context, word[4:]))
        elif word == "accounts":
            out.append(_class_accounts.new(context))
        elif word == "spool":
            folder = "/var/spool/cron/crontabs"
            out.append({name: read(folder, name) for name in sorted(os.listdir(folder))})
        else:
            out.append(getattr(_class_jobs, word)(context))
    print(json.dumps(out))


if __name__ == "__main__":
    main()
