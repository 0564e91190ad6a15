# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One machine for all tests of a run: booted with its live disks and guards, then the legacy disks are plugged into it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

import vm_disks
import vm_lab
from vm_case import Case
from vm_machine import Machine, accelerator


@pytest.fixture(scope="session", autouse=True)
def wanted():
    """Skipped, with the reason, where no machine can be had."""
    reason = vm_lab.why_not()
    if reason:
        pytest.skip(f"no virtual machine here: {reason}")


@pytest.fixture(scope="session")
def case(wanted):
    """The machine with its guards and before any legacy disk; copies of the legacy disks lie beside it."""
    made = vm_disks.ensure(vm_lab.LOG)
    folder = Path(tempfile.mkdtemp(prefix="intact-vm."))
    try:
        root, live = vm_lab.files(folder)
        images = {serial: vm_disks.copy(made / f"{serial}.raw", folder / f"{serial}.raw") for serial in vm_disks.LEGACY_SERIALS}
        machine = Machine(folder, root, live, accelerator(vm_disks.vm_image.ensure(vm_lab.LOG)))
        print(f"\nvirtual machine: {machine.accel}, {folder}", flush=True)
        try:
            machine.start()
            lab = Case(machine, images, made)
            lab.remember()
            yield lab
        finally:
            machine.stop()
    finally:
        if os.environ.get("INTACT_VM_KEEP"):
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
