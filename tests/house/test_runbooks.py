"""Every alert has its row in the table of alerts and its page of what to do."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import llmops.alerts
from llmops.alerts import Finding, Item, Transition, say
from llmops.alerts.phrases import SENTENCES
from llmops.alerts.rules import GROUPS
from llmops.notifiers.notice import compose
from llmops.settings import Settings
from llmops.shell import trying

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"


def rule_ids() -> set[str]:
    """The values of all constants in `llmops.alerts` whose name ends in RULE_ID."""
    modules = [
        importlib.import_module(f"llmops.alerts.{each.name}") for each in pkgutil.iter_modules(llmops.alerts.__path__)
    ]
    return {value for each in modules for name, value in vars(each).items() if name.endswith("RULE_ID")}


RULES = sorted(rule_ids())


def rows() -> set[str]:
    """The rules that the table of alerts names, those of objectives by their first word."""
    found = re.findall(r"^\| `([a-z_.]+)(?:\.\*)?` \|", (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8"), re.M)
    return {rule if rule in RULES else rule.split(".")[0] for rule in found}


def test_the_table_of_alerts_has_a_row_for_each_rule_and_no_other() -> None:
    assert rows() == {*RULES, "slo"}


@pytest.mark.parametrize("rule", [*RULES, "slo.latency.page"])
def test_every_rule_has_a_runbook_where_its_notice_says(rule: str) -> None:
    finding = Finding(rule_id=rule, name=say("vram"), severity="page", active=True)
    transition = Transition(action="firing", at=1.0, started=1.0, finding=finding)
    notice = compose(Item(action="firing", times=1, transition=transition), state="", language="en")
    page = ROOT / notice.runbook
    assert page.read_text(encoding="utf-8").startswith(f"# {rule.split('.', maxsplit=1)[0]}\n")


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_name_in_every_language_and_a_group(rule: str) -> None:
    assert all(rule in sentences for sentences in SENTENCES.values())
    assert rule in GROUPS


def test_every_runbook_is_of_a_rule_and_in_the_list_of_runbooks() -> None:
    pages = {page.name for page in RUNBOOKS.glob("*.md")} - {"README.md"}
    assert pages == {f"{rule.split('.')[0]}.md" for rule in [*RULES, "slo", trying.RULE_ID]}
    listed = re.findall(r"^\| \[(.+)\]\((.+)\) \|", (RUNBOOKS / "README.md").read_text(encoding="utf-8"), re.M)
    assert [target for _, target in listed] == [f"{name}.md" for name, _ in listed]
    assert sorted(target for _, target in listed) == sorted(pages)


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_the_dials_that_a_runbook_names_are_there(page: Path) -> None:
    sections = dict(Settings())
    for section, dial in re.findall(r"`([a-z]+)\.([a-z_]+)[` =]", page.read_text(encoding="utf-8")):
        if section in sections:
            assert dial in type(sections[section]).model_fields, f"{section}.{dial}"
