# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tools that copy or hash trees, each with the settings that keep most."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIME = "/usr/bin/time"
PYTHON = "/usr/bin/python3"  # the host's own, as for the module


@dataclass
class Spent:
    """What a tool took, with everything that it started. memory: of its biggest process, MB."""

    cpu: float
    wall: float
    memory: float


def spend(argv: list[str], work: Path) -> Spent:
    """Run a tool to its end. What it wrote may still be in memory: the same for all, only a verification insists."""
    os.sync()
    told = work / "memory"
    if Path(TIME).exists():
        # a child of ours begins with our own memory in its books
        argv = [TIME, "-f", "%M", "-o", str(told), *map(str, argv)]
    with (work / "log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
        try:
            _pid, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{shlex.join(map(str, argv))} ended with {process.returncode}:\n{(work / 'log').read_text(errors='replace')[-3000:]}")
    memory = int(told.read_text().split()[-1]) if told.exists() else usage.ru_maxrss
    return Spent(usage.ru_utime + usage.ru_stime, wall, memory / 1024)


def ours(*arguments: object) -> list[str]:
    """Our engine as the modules call it, see tree_run.py."""
    return [PYTHON, "-B", str(HERE / "tree_run.py"), *map(str, arguments)]


def shell(text: str, *arguments: object) -> list[str]:
    """A line of sh with its arguments as $1, $2 ..."""
    return ["sh", "-ec", text, "sh", *map(str, arguments)]


def said(argv: list[str]) -> bytes:
    """What a checking tool says, with its exit code."""
    done = subprocess.run(argv, capture_output=True, check=False)
    return b"%d\n" % done.returncode + done.stdout + done.stderr


def quiet(argv: list[str]) -> None:
    """Run something that has to work."""
    subprocess.run(argv, check=True, capture_output=True)


@dataclass
class Tool:
    """command(source, work): what is measured; it copies to work/target or hashes to work/sums.

    check(source, work): what the tool says of work/target; prepare: what it needs for that. None: it has no check of its own.
    """

    name: str
    program: str
    package: str
    command: Callable[[Path, Path], list[str]]
    check: Callable[[Path, Path], bytes] | None = None
    prepare: Callable[[Path, Path], None] | None = None
    imports: str = "sys"

    def there(self) -> bool:
        """Whether it is installed."""
        return (
            shutil.which(self.program) is not None and not subprocess.run([PYTHON, "-c", f"import {self.imports}"], capture_output=True, check=False).returncode
        )


def sums(program: str) -> tuple[str, str]:
    """Shell lines that hash all files below $1 into $2, and check them."""
    return f'cd "$1"; find . -type f -print0 | xargs -0 {program} > "$2"', f'cd "$1"; {program} --check "$2"'


def hashing(name: str, package: str, program: str) -> Tool:
    """A tool that writes sums of contents and checks them."""
    write, check = sums(program)
    return Tool(
        name,
        program.split(maxsplit=1)[0],
        package,
        lambda source, work: shell(write, source, work / "sums"),
        lambda _source, work: said(shell(check, work / "target", work / "sums")),
        lambda source, work: quiet(shell(write, source, work / "sums")),
    )


RSYNC = ["rsync", "-aHAXS"]


def rsync(source: Path, work: Path, *more: str) -> list[str]:
    """rsync from the one to the other."""
    return [*RSYNC, *more, f"{source}/", f"{work / 'target'}/"]


TOOLS = (
    Tool("cp -a", "cp", "coreutils", lambda source, work: ["cp", "-a", str(source), str(work / "target")]),
    Tool("intact copy", PYTHON, "python3", lambda source, work: ours("copy", source, work)),
    Tool("intact copy, xxh3", PYTHON, "python3-xxhash", lambda source, work: ours("xxh3", source, work), imports="xxhash"),
    Tool("rsync -aHAXS", "rsync", "rsync", rsync, lambda source, work: said(rsync(source, work, "-ni"))),
    Tool(
        "intact copy + verify",
        PYTHON,
        "python3",
        lambda source, work: ours("verified", source, work),
        lambda _source, work: said(ours("check", work / "target", work)),
        lambda source, work: quiet(ours("manifest", source, work)),
    ),
    Tool(
        "rsync + rsync -nc",
        "rsync",
        "rsync",
        lambda source, work: shell('rsync -aHAXS "$1/" "$2/"; rsync -aHAXSnc "$1/" "$2/"', source, work / "target"),
        lambda source, work: said(rsync(source, work, "-nci")),
    ),
    Tool(
        "fpsync",
        "fpsync",
        "fpart",
        lambda source, work: shell(
            'mkdir "$2" "$3"; fpsync -n 2 -f 10000 -t "$3" -o "-lptgoDHAXS --numeric-ids" "$1" "$2"', source, work / "target", work / "fpsync"
        ),
    ),
    Tool("intact manifest", PYTHON, "python3", lambda source, work: ours("manifest", source, work)),
    Tool(
        "hashdeep",
        "hashdeep",
        "hashdeep",
        lambda source, work: shell('cd "$1"; hashdeep -c sha256 -r -l -o f . > "$2"', source, work / "sums"),
        lambda _source, work: said(shell('cd "$1"; hashdeep -c sha256 -r -l -o f -a -vv -k "$2" .', work / "target", work / "sums")),
        lambda source, work: quiet(shell('cd "$1"; hashdeep -c sha256 -r -l -o f . > "$2"', source, work / "sums")),
    ),
    hashing("b3sum", "b3sum", "b3sum --num-threads 1 --no-mmap"),
    hashing("xxhsum", "xxhash", "xxhsum -H2"),
    Tool(
        "xxhsum, 8 readers",
        "xxhsum",
        "xxhash",
        lambda source, work: shell('cd "$1"; find . -type f -print0 | xargs -0 -P8 -n256 xxhsum -H2 > "$2"', source, work / "sums"),
    ),
)
