# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Numbers on the new host: which are free for people, for services and for what nobody owns. Pure.

Names are in numbers' places for one kind, users or groups. Nothing gets a number that somebody has: not in passwd, not in group, not in subuid.
"""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NOBODY = 65534
RANGE = (200000, 299999)
# Above are homed's, services' for a moment (systemd, UIDS-GIDS) and what the kernel shows for strangers; from 100000 on what containers are given.
PEOPLE_LAST, CONTAINERS = 60000, 100000
SYSTEM = range(999, 99, -1)


class Numbers:
    """Free numbers of one kind. taken: numbers that live accounts have. mine: {name: number} of an earlier map. span: the orphans' range, both ends in it."""

    def __init__(self, taken, first, old, mine=None, span=RANGE):
        self.taken, self.first, self.old, self.mine, self.span = set(taken), first, set(old), dict(mine or {}), span
        self._next = first

    def keeps(self, number):
        """Whether somebody may keep an old number here."""
        return number not in self.taken and (self.first <= number <= PEOPLE_LAST or NOBODY + 1 < number < CONTAINERS) and not self.strange(number)

    def strange(self, number):
        """Whether a number lies in the orphans' range."""
        return self.span[0] <= number <= self.span[1]

    def take(self, number):
        """Give a number away."""
        self.taken.add(number)
        return number

    def fresh(self, what, also=()):
        """The next free number for a person that nobody had on the old system either. also: further numbers that must not be used."""
        for number in range(self._next, PEOPLE_LAST + 1):
            if number not in self.taken and number not in self.old and number not in also and not self.strange(number):
                self._next = number + 1
                return self.take(number)
        raise IntactError("no number between %d and %d is left for %s: remove accounts that nobody needs, or raise UID_MAX" % (self.first, PEOPLE_LAST, what))

    def system(self, what):
        """The next free number for a service, from 999 down as the new system does it."""
        for number in SYSTEM:
            if number not in self.taken and number not in self.old:
                return self.take(number)
        raise IntactError("no number between 100 and 999 is left for the service %s: remove services that nobody needs" % what)


def orphan(old, span=RANGE):
    """The number for what an old number without an account owns: the range's first plus the number, the last one for those that do not fit.

    The same in every run and for every reader, so that no list has to be kept of numbers that nobody has counted.
    """
    number = span[0] + old
    return number if number < span[1] else span[1]


def check_span(span, live, subids=(), held=()):
    """Sentences that say why a range can't be the orphans'.

    live: [(kind, name, number)] in use. subids: [(name, first, count)]. held: [(first, count)] that the host can hold.
    """
    first, last = span
    if first <= PEOPLE_LAST or last <= first:
        return ["%d-%d is no range above everybody's numbers (over %d)" % (first, last, PEOPLE_LAST)]
    said = ["%s %s has number %d" % (kind, name, number) for kind, name, number in live if first <= number <= last]
    said += ["%s may use %d-%d in containers (subuid, subgid)" % (name, at, at + count - 1) for name, at, count in subids if at <= last and at + count > first]
    if held and not any(at <= first and last < at + count for at, count in held):
        said.append("this host is a container that holds only %s" % ", ".join("%d-%d" % (at, at + count - 1) for at, count in held))
    return said
