# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Archives of old mailing lists: an mbox that is kept for the operator, and HyperKitty's own import where HyperKitty is."""

from __future__ import annotations

import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_disk

# HyperKitty's commands as Debian has them; it runs as www-data. Setting hyperkitty_command takes their place.
COMMAND = ("runuser", "-u", "www-data", "--", "mailman-web")
PROGRAM = "mailman-web"


def keep(context, entry, found, directory):
    """Copies an archive's mbox to DIRECTORY/NAME.mbox (0600). Returns its path; a copy of the same size is kept."""
    target = os.path.join(directory, "archives", entry["name"] + ".mbox")
    os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
    with _mail_disk.Place(context, entry["root"]) as place, place.open(found["file"]) as source:
        size = os.fstat(source.fileno()).st_size
        if not (os.path.exists(target) and os.path.getsize(target) == size):
            half = target + ".half"
            with open(half, "wb") as copy:
                os.fchmod(copy.fileno(), 0o600)
                shutil.copyfileobj(source, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
            os.rename(half, target)
    return target


def hyperkitty(context):
    """The first words of HyperKitty's commands, None where it is not installed."""
    told = context.settings.get("hyperkitty_command")
    if told:
        return list(told)
    return list(COMMAND) if context.system.which(PROGRAM) else None


def bring(command, address, path):
    """HyperKitty's own import; it knows messages by their Message-ID, so that a second one adds none. Returns the Result."""
    with open(path, "rb") as handle:
        data = handle.read()
    # given by its pipe: the archive stays closed to the web server's user
    return _command.run([*command, "hyperkitty_import", "-l", address, "/dev/stdin"], stdin=data, timeout=6 * 3600, check=False)


def count(command, address):
    """How many messages HyperKitty has of a list, None when it does not say. Asked of its database through Django, not of its import."""
    code = "from hyperkitty.models import Email; print('intact', Email.objects.filter(mailinglist__name=%r).count())" % address
    result = _command.run([*command, "shell", "-c", code], timeout=600, check=False)
    words = [line.split()[1] for line in result.text.splitlines() if line.startswith("intact ")]
    return int(words[0]) if words and words[0].isdigit() else None
