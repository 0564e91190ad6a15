# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad dumps: a connection that is killed in the middle, one whose end is lost on the way, and one that lacks a row of a table."""

from __future__ import annotations

import faults_lab as lab
import pytest


@pytest.fixture(scope="module")
def run():
    """One backup with a producer that does all three, each to another database."""
    with lab.producer():
        return lab.backup("databases")


@pytest.fixture(scope="module")
def drilled(run):
    """What a drill says of this backup."""
    return lab.drill(["vault"], ["databases"])


def test_a_connection_killed_in_the_middle(run):
    finding = lab.told(run.findings, "backup.dump.failed", "databases mariadb:harbour_club")[0]
    assert finding["severity"] == "blocker" and "Lost connection" in finding["evidence"], finding


def test_a_dump_whose_end_is_missing(run):
    finding = lab.told(run.findings, "backup.dump.truncated", "databases mariadb:northwind_wp")[0]
    assert finding["severity"] == "blocker" and "cut off" in finding["evidence"], finding


def test_no_place_holds_a_torn_dump_and_none_is_called_good(run):
    assert run.code != 0 and run.document["status"] == "findings"
    for repository in ("vault", "attic"):
        assert lab.result(repository, "databases") == "partial"
        listed = str(lab.snapshots(repository, "run:" + run.document["run"]))
        assert "hilltop_shop.sql" in listed
        assert "harbour_club" not in listed and "northwind_wp" not in listed


def test_a_row_that_the_dump_lacks_is_found_by_its_tables_name(run, drilled):
    """The backup can't know: producer and stream are whole. The manifest counted the rows in the same transaction."""
    assert [finding for finding in run.findings if "hilltop_shop" in finding["subject"]] == []
    found = [finding for finding in drilled["findings"] if "mariadb:hilltop_shop" in finding["subject"]]
    assert {finding["subject"] for finding in found} == {"vault databases mariadb:hilltop_shop.orders"}, found
    assert all(finding["severity"] == "blocker" for finding in found), found
    assert "databases.rows.lost" in {finding["id"] for finding in found}, found


def test_what_was_drilled_so_is_not_proven(drilled):
    assert drilled["result"] == "failed"
    assert drilled["proof"]["repositories"]["vault"]["classes"]["databases"]["result"] == "failed"


def test_with_the_real_producer_all_is_good_again(run):
    assert lab.good_backup("databases").document["run"] != run.document["run"]
    assert {lab.result(repository, "databases") for repository in ("vault", "attic")} == {"ok"}
