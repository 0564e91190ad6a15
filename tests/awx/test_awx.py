# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""awx/controller.yml against what it refers to: playbooks, variables and their choices, templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = yaml.safe_load((ROOT / "awx" / "controller.yml").read_text())
TEMPLATES = {t["name"]: t for t in CONFIGURATION["controller_templates"]}
WORKFLOWS = CONFIGURATION["controller_workflows"]
STAGES = ROOT / "collections" / "ansible_collections" / "intact" / "hosting" / "plugins" / "module_utils" / "_upgrade" / "_stages.py"
# Playbooks that change hosts; each needs a template that runs it in check mode.
CHANGING = {"playbooks/upgrade-host.yml", "playbooks/upgrade-fleet.yml", "playbooks/roll-back-host.yml"}
SURVEY_TYPES = {"str": {"text", "textarea", "multiplechoice"}, "path": {"text"}, "int": {"integer"}, "float": {"float", "integer"}, "list": {"multiselect"}}
# Collection-wide inputs and where their choices come from.
WIDE = {
    "intact_hosts": "str",
    "intact_release_path": "str",
    "intact_target_release": "str",
    "intact_serial": "str",
    "intact_budget_seconds": "int",
    "intact_window_start": "str",
    "intact_window_end": "str",
    "intact_watch_hours": "float",
    "intact_approved_before": "str",
    "intact_approved_by": "str",
    "intact_waves": "str",
    "intact_canary": "str",
    "intact_wave_budget_seconds": "int",
}


def text_of(playbook):
    """A playbook's text, with that of the files of tasks and variables that it takes in."""
    rest, texts = [playbook], {}
    while rest:
        name = rest.pop()
        if name not in texts:
            texts[name] = (ROOT / name).read_text()
            rest += ["playbooks/" + found for found in re.findall(r"\b(?:tasks|vars)/[\w-]+\.yml", texts[name])]
            # Files of tasks name their neighbours without the directory.
            rest += ["playbooks/tasks/" + found for found in re.findall(r"_tasks: ([\w-]+\.yml)", texts[name]) if "/tasks/" in name]
    return "".join(texts.values())


def roles_of(playbook):
    """Names of the roles that a playbook uses."""
    return set(re.findall(r"intact\.hosting\.(\w+)", text_of(playbook))) & {p.name for p in (ROOT / "roles").iterdir()}


def inputs(playbook):
    """{variable: its entry in an argument spec} of a playbook, with the collection-wide ones that are really read."""
    text, found = text_of(playbook), {}
    for role in roles_of(playbook):
        spec = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())
        found.update(spec["argument_specs"]["main"]["options"])
        text += (ROOT / "roles" / role / "defaults" / "main.yml").read_text()
    for name, kind in WIDE.items():
        if re.search(r"\b%s\b" % name, text):
            found[name] = {"type": kind}
    return found


def questions():
    for owner in [*TEMPLATES.values(), *WORKFLOWS]:
        for question in owner["survey_spec"]["spec"]:
            yield pytest.param(owner, question, id="%s: %s" % (owner["name"], question["variable"]))


def playbooks_of(owner):
    """Playbooks that an answer of this survey reaches."""
    if "playbook" in owner:
        return [owner["playbook"]]
    return [TEMPLATES[n["unified_job_template"]["name"]]["playbook"] for n in owner["workflow_nodes"] if n["unified_job_template"]["type"] == "job_template"]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_names_a_playbook_that_awx_can_offer(template):
    path = ROOT / template["playbook"]
    assert path.is_file() and not path.is_symlink() and path.parent == ROOT / "playbooks" and yaml.safe_load(path.read_text())
    assert template["project"] == CONFIGURATION["controller_projects"][0]["name"] and template["survey_enabled"]


@pytest.mark.parametrize("playbook", sorted(CHANGING))
def test_a_playbook_that_changes_hosts_has_a_dry_run(playbook):
    types = {t["job_type"] for t in TEMPLATES.values() if t["playbook"] == playbook}
    assert types == {"run", "check"}


def test_every_playbook_has_a_template():
    assert {t["playbook"] for t in TEMPLATES.values()} == {"playbooks/" + p.name for p in (ROOT / "playbooks").glob("*.yml")}


@pytest.mark.parametrize(("owner", "question"), list(questions()))
def test_a_question_is_an_input_of_the_playbook(owner, question):
    known = {}
    for playbook in playbooks_of(owner):
        known.update(inputs(playbook))
    assert question["variable"] in known, "nothing reads %s" % question["variable"]
    assert question["type"] in SURVEY_TYPES[known[question["variable"]]["type"]]
    choices = known[question["variable"]].get("choices")
    if question["variable"] == "intact_release_path":
        choices = ["", *sorted(p.stem for p in (ROOT / "roles" / "distro_upgrade" / "release_paths").glob("*.yml"))]
    assert (question["type"] in ("multiplechoice", "multiselect")) == (choices is not None)
    assert question.get("choices") == choices


@pytest.mark.parametrize(("owner", "question"), list(questions()))
def test_a_question_is_one_that_awx_takes(owner, question):
    assert {"question_name", "question_description", "variable", "type", "required", "default"} <= set(question)
    assert question["type"] != "password", "secrets are credentials, not answers"
    if question["type"] == "integer":
        assert question["min"] <= question["default"] <= question["max"]
    elif question["type"] == "text":
        assert question["min"] <= len(question["default"]) <= question["max"] and (not question["required"] or question["default"])
    else:
        assert question["default"] in question["choices"]


@pytest.mark.parametrize("owner", [*TEMPLATES.values(), *WORKFLOWS], ids=lambda o: o["name"])
def test_a_survey_asks_each_thing_once(owner):
    names = [q["variable"] for q in owner["survey_spec"]["spec"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda w: w["name"])
def test_a_workflow_is_whole_and_asks_before_it_changes(workflow):
    nodes = {n["identifier"]: n for n in workflow["workflow_nodes"]}
    reached = {e["identifier"] for n in nodes.values() for edges in n.get("related", {}).values() for e in edges}
    assert reached <= set(nodes) and len(set(nodes) - reached) == 1, "one beginning, no edge into nothing"
    for node in nodes.values():
        template = node["unified_job_template"]
        assert template["type"] == "workflow_approval" or template["name"] in TEMPLATES
    before = {e["identifier"]: name for name, n in nodes.items() for edges in n.get("related", {}).values() for e in edges}
    for name, node in nodes.items():
        template = TEMPLATES.get(node["unified_job_template"]["name"])
        if template and template["playbook"] in CHANGING and template["job_type"] == "run":
            assert nodes[before[name]]["unified_job_template"]["type"] == "workflow_approval"


@pytest.mark.parametrize("schedule", CONFIGURATION["controller_schedules"], ids=lambda s: s["name"])
def test_a_schedule_runs_only_what_reads(schedule):
    template = TEMPLATES[schedule["unified_job_template"]]
    assert template["playbook"] not in CHANGING
    assert re.fullmatch(r"DTSTART:\d{8}T\d{6}Z RRULE:FREQ=(HOURLY|DAILY|WEEKLY);INTERVAL=\d+(;BYDAY=[A-Z]{2})?", schedule["rrule"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda w: w["name"])
def test_what_a_workflow_answers_is_a_question_of_the_template(workflow):
    """AWX drops an answer that the template's survey does not ask for, without a word."""
    for node in workflow["workflow_nodes"]:
        asked = {q["variable"] for q in (TEMPLATES.get(node["unified_job_template"]["name"]) or {"survey_spec": {"spec": []}})["survey_spec"]["spec"]}
        assert set(node.get("extra_data") or {}) <= asked


def test_the_approval_of_a_workflow_is_the_answer_that_the_confirmation_waits_for():
    answers = [n["extra_data"]["intact_approved_before"] for w in WORKFLOWS for n in w["workflow_nodes"] if "extra_data" in n]
    stages = {"gate", *re.findall(r'^    "([a-z-]+)":', (STAGES).read_text(), re.MULTILINE)}
    assert answers and all({step.strip() for step in answer.split(",")} <= stages for answer in answers)


def test_the_fleet_takes_no_limit():
    assert not any(t["ask_limit_on_launch"] for t in TEMPLATES.values() if t["playbook"] == "playbooks/upgrade-fleet.yml")
