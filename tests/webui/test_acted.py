"""The table of what acted: its words from reports made by hand, hostile text, and jobs that have nothing to tell."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

pytest.importorskip("gradio")

from lib_sticky.webui.acted import of_job, of_passes

PAG = {"name": "PAG", "steps": [0, 1, 2, 5], "inert": {"outside its steps": 2}}
CFG = {"name": "CFG", "steps": [], "inert": {"the CFG scale is 1": 4, "the host skipped the negative": 2}}
REPORT: dict[str, Any] = {"rows": [3, 3, 3, 2, 2, 3], "techniques": [CFG, PAG], "refused": [], "others": ""}
OTHER = {**REPORT, "techniques": [PAG]}


def info(**params: Any) -> str:
    """As a WebUI's tab keeps it of its last job."""
    return json.dumps({"prompt": "a cat", "extra_generation_params": params})


def cells(shown: str) -> list[str]:
    return re.findall(r"<td>(.*?)</td>", shown)


def test_a_row_for_each_technique_with_its_steps_and_why_it_was_inert() -> None:
    shown = of_job(info(**{"Sticky": "{}", "Sticky report": [REPORT]}))
    assert cells(shown) == [
        "CFG", "none", "4 (the CFG scale is 1), 2 (the host skipped the negative)",
        "PAG", "1-3, 6 (4 of 6)", "2 (outside its steps)",
    ]  # fmt: skip
    assert "model rows a step: 2 on 2, 3 on 4" in shown
    assert "What acted in the last job<" in shown
    assert "sticky-warning" not in shown


def test_one_step_is_no_span() -> None:
    shown = of_passes([{"rows": [1], "techniques": [{"name": "SAG", "steps": [0], "inert": {}}]}])
    assert cells(shown) == ["SAG", "1 (1 of 1)", ""]


def test_a_step_of_several_model_calls_is_named_once() -> None:
    shown = of_passes([{"rows": [1] * 4, "techniques": [{"name": "SAG", "steps": [0, 0, 1, 1], "inert": {}}]}])
    assert cells(shown) == ["SAG", "1-2 (4 of 4)", ""]


def test_passes_in_which_the_same_acted_share_a_table() -> None:
    assert of_passes([REPORT, REPORT]) == of_passes([REPORT])
    shown = of_passes([REPORT, OTHER, REPORT, OTHER])
    assert re.findall(r"in pass ([\d, ]+)<", shown) == ["1, 3", "2, 4"]
    assert shown.count("<table") == 2


def test_what_was_refused_and_who_else_combined_is_said() -> None:
    shown = of_passes([{**REPORT, "refused": ["SEG cannot act"], "others": "Another made the CFG"}])
    assert re.findall(r"sticky-warning'>(.*?)<", shown) == ["SEG cannot act", "Another made the CFG"]
    alone = of_passes([{"rows": [], "techniques": [], "refused": ["CFG++ cannot act"], "others": ""}])
    assert "CFG++ cannot act" in alone
    assert "<table" not in alone
    assert "rows" not in alone


def test_hostile_text_stays_text() -> None:
    bad = "<img src=x onerror='alert(1)'>&\""
    technique = {"name": bad, "steps": [0], "inert": {bad: 1}}
    shown = of_passes([{"rows": [1], "techniques": [technique], "refused": [bad], "others": bad}])
    assert shown.count("&lt;img src=x onerror=&#x27;alert(1)&#x27;&gt;&amp;&quot;") == 4
    assert "<img" not in shown


@pytest.mark.parametrize("text", ["", "not JSON", "null", "[]", "3", "{}", '{"extra_generation_params": null}', info()])
def test_without_a_report_there_is_nothing_to_see(text: str) -> None:
    assert of_job(text) == ""


def test_a_script_that_sums_up_its_jobs_leaves_the_infotexts_line() -> None:
    assert "<div class='sticky-count'>PAG 4 of 4 steps &amp; 8 rows</div>" in of_job(
        info(**{"Sticky acted": "PAG 4 of 4 steps & 8 rows"})
    )


def test_no_passes_make_no_table() -> None:
    assert of_passes([]) == ""
