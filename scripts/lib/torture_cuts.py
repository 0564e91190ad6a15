# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cut hits which flight, and when: drawn from a seed, told by what the flight does and not by a clock. Pure.

A moment is (stage, event, number, delay): the number-th event of that kind in that stage, and then some tenths of a second into its work. Stages before it that
were over before anybody looked make it late, never lost: it strikes in whatever stage comes then.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

# How many of each event an undisturbed flight has (torture_release): moments are drawn among them.
EVENTS = {
    "patch-source": {"download": 1, "unpack": 1, "configure": 1},
    "download": {"download": 20},
    "bootstrap": {"unpack": 2, "configure": 2},
    "minimal": {"unpack": 14, "configure": 14, "trigger": 1},
    "full": {"unpack": 6, "configure": 6, "remove": 1, "trigger": 1},
    "autoremove": {"remove": 1},
}
STAGES = (
    "bind",
    "snapshot",
    "rescue-ssh",
    "quiesce",
    "patch-source",
    "stage-sources",
    "download",
    "simulate",
    "point-of-no-return",
    "database-stop",
    "bootstrap",
    "carry",
    "minimal",
    "full",
    "target-files",
    "database-upgrade",
    "commit-sources",
    "residue",
    "autoremove",
    "reboot",
    "unquiesce",
    "cleanup",
)
NETWORK = ("patch-source", "stage-sources", "download", "commit-sources")
PACKAGE_EVENTS = ("unpack", "configure", "trigger", "remove")
# kind: events at which it is tried, each as often as the others
MATRIX = {
    "runner": ("begin", "begin", "download", "unpack", "configure", "trigger"),
    "apt": ("download", "unpack", "configure", "trigger", "remove"),
    "dpkg": ("unpack", "configure", "trigger", "remove"),
    "power": ("begin", "begin", "download", "unpack", "configure", "trigger"),
    "disk": ("download", "unpack", "configure"),
    "mirror": ("network", "network", "download"),
    "state": ("begin", "unpack", "configure"),
    "updates": ("unpack", "configure"),
    "starts": ("begin", "configure"),
    "two": ("any", "any"),
}
CONTROLLER = {"controller": ("unpack", "begin"), "connection": ("unpack",)}
TWO = ("runner", "apt", "dpkg", "power", "state", "updates")
GARBAGE = ("truncated", "empty", "zeros", "noise", "other")


@dataclass
class Cut:
    """What is done, at which moment, and how (details that the kind needs)."""

    kind: str
    stage: str
    event: str
    number: int
    delay: float
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def generator(seed: int | str) -> Random:
    return Random(seed)  # noqa: S311 (moments, nothing secret)


def order(matrix: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    """All cells of a matrix as (kind, event)."""
    return [(kind, event) for kind, events in matrix.items() for event in events]


def moment(rng: Random, event: str, after: int = 0) -> tuple[str, str, int, float]:
    """(stage, event, number, delay) of a drawn moment; not before the after-th stage unless there is none left with this event."""
    if event == "any":
        event = rng.choice(("begin", *PACKAGE_EVENTS))
    if event == "network":
        stage = rng.choice([s for s in NETWORK if STAGES.index(s) >= after] or [NETWORK[-1]])
        return stage, "begin", 1, round(rng.uniform(0, 0.3), 3)
    if event == "begin":
        stage = rng.choice(STAGES[after:])
        # the last ones are over at once
        return stage, "begin", 1, round(rng.uniform(0, 0.03 if stage in STAGES[-2:] else 0.8), 3)
    having = [s for s in STAGES if event in EVENTS.get(s, {})]
    having = [s for s in having if STAGES.index(s) >= after] or [having[-1]]
    # stages with more of it are hit more often, as they would be
    stage = rng.choices(having, [1 + EVENTS[s][event] for s in having])[0]
    return stage, event, rng.randint(1, EVENTS[stage][event]), round(rng.uniform(0, 0.5), 3)


def cut(rng: Random, kind: str, event: str, after: int = 0) -> Cut:
    """One cut of a kind."""
    details: dict[str, Any] = {}
    if kind in ("state", "updates"):
        details = {"how": rng.choice(GARBAGE), "part": round(rng.random(), 4), "seed": rng.randrange(1 << 30)}
    if kind in ("disk", "mirror"):
        # mended while the host still tries, or only when it has stopped over it
        details = {"seconds": rng.choice((round(rng.uniform(4, 14), 1), 120.0))}
    if kind == "connection":
        # the mirror is behind the same network: it must be back before commit-sources
        details = {"seconds": round(rng.uniform(4, 8), 1)}
        return Cut(kind, "minimal", event, rng.randint(1, 6), round(rng.uniform(0, 0.5), 3), details)
    return Cut(kind, *moment(rng, event, after), details=details)


def draw(seed: int, number: int, matrix: dict[str, tuple[str, ...]] | None = None) -> list[Cut]:
    """The cuts of flight `number` (from 0) of a seed: the cells of the matrix one after the other, in an order drawn for each round."""
    cells = order(matrix or MATRIX)
    turn = generator(f"order {seed} {number // len(cells)}")
    turn.shuffle(cells)
    kind, event = cells[number % len(cells)]
    rng = generator(f"flight {seed} {number}")
    if kind != "two":
        return [cut(rng, kind, event)]
    first = cut(rng, rng.choice(TWO), "any")
    return [first, cut(rng, rng.choice(TWO), "any", STAGES.index(first.stage))]


def sample(seed: int) -> list[list[Cut]]:
    """One flight for each kind of cut, the controller's included."""
    out = []
    for kind, events in {**MATRIX, **CONTROLLER}.items():
        rng = generator(f"sample {seed} {kind}")
        if kind == "two":
            out.append([cut(rng, "dpkg", "configure"), cut(rng, "power", "any", STAGES.index("minimal"))])
        else:
            out.append([cut(rng, kind, rng.choice(events))])
    return out


def due(wanted: Cut, stage: str, counts: dict[tuple[str, str], int], ended: set[str]) -> bool:
    """Whether a cut's moment has come. counts: {(stage, event): how many so far}. ended: stages that are over."""
    if wanted.stage in ended:
        return True
    if wanted.stage != stage:
        return False
    return wanted.event == "begin" or counts.get((stage, wanted.event), 0) >= wanted.number


def spoil(data: bytes, how: str, part: float, seed: int) -> bytes:
    """What a cut or a failing disk may leave of a file."""
    size = int(len(data) * part)
    if how == "truncated":
        return data[:size]
    if how == "zeros":
        return b"\0" * max(size, 1)
    if how == "noise":
        return generator(seed).randbytes(max(size, 64))
    if how == "other":
        return generator(seed).choice((b"12\n", b"[]\n", b'"x"\n', b"null", b'{"flight": "x"}\n'))
    return b""


def event_of(line: str) -> str:
    """What a line of dpkg's log says of the package work: unpack, configure, trigger, remove or ""."""
    word = (line.split(" ", 3) + ["", "", ""])[2]
    return {"upgrade": "unpack", "install": "unpack", "configure": "configure", "trigproc": "trigger", "remove": "remove"}.get(word, "")
