"""The metrics of a real host: on `/metrics`, in its report, in its files, and as its Grafana board asks."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from bench.scripted_upstream import Turn
from tests.proxy.test_host import ASK, Served, served, served_with_upstream

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"
BOARD = json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))
ENDINGS = ("_created", "_sum", "_count")
PRICES = {"claude-*": {"input": 1000.0, "cacheRead": 100.0, "output": 0.0}}


def expressions() -> list[str]:
    return [target["expr"] for panel in BOARD["panels"] for target in panel.get("targets", ())]


async def families(host: Served) -> dict[str, Metric]:
    """The metrics of a host by the names of their samples, also of those that have none yet."""
    answer = await host.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        found.update({family.name + ending: family for ending in endings})
    return found


def value(metric: Metric, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for sample in metric.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


async def test_metrics_report_and_files_of_a_run_say_the_same(tmp_path: Path) -> None:
    async with served_with_upstream(tmp_path, Turn("Hi."), prices=PRICES, model="m") as host:
        usages = []
        for model in ("claude-x", "claude-x", "other"):
            answer = await host.client.post("/v1/messages", json=ASK | {"model": model})
            usages.append(answer.json()["usage"])
        shown = [await families(host) for _ in range(2)][-1]
        events = await host.client.get("/anyclaude/state")
    read = sum(usage["cache_read_input_tokens"] for usage in usages)
    priced = sum(usage["input_tokens"] + usage["cache_read_input_tokens"] / 10 for usage in usages[:2]) / 1000

    def told(name: str, **labels: str) -> float:
        return value(shown[f"anyclaude_{name}"], f"anyclaude_{name}", **labels)

    assert (told("prompts_total", cache="warm"), told("prompts_total", cache="cold")) == (3, 0)
    assert told("cache_time_to_first_token_seconds_count", cache="warm") == 3
    assert told("tokens_total", kind="cache_read") == read
    assert told("cost_total") == pytest.approx(priced)
    assert told("unpriced_requests_total") == 1
    assert told("prefill_saved_seconds") == 0  # no prefill was long enough to tell its speed
    assert events.json()["counters"]["cache_read_input_tokens"] == read
    assert re.fullmatch(r"this run: 3 requests in \d+\.\d s", host.report[0])
    assert f"({read:,} restored" in host.report[1]
    assert re.fullmatch(r"TTFT: warm .* in 3; cold not measured", host.report[2])
    assert host.report[3] == f"the same tokens would have cost {priced:.4f} by the configuration's prices"
    folder = host.config.home / "cache-metrics"
    (file,) = folder.glob("requests-*.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["read"] for line in lines] == [usage["cache_read_input_tokens"] for usage in usages]
    days = list(csv.DictReader((folder / "days.csv").read_text().splitlines()))
    assert sum(int(day["requests"]) for day in days) == 3
    assert sum(float(day["cost"]) for day in days) == pytest.approx(priced, abs=1e-5)


async def test_a_run_without_traces_reports_and_one_without_requests_does_not(tmp_path: Path) -> None:
    async with served_with_upstream(tmp_path, Turn("Hi."), trace=False) as host:
        await host.client.post("/v1/messages", json=ASK)
    assert host.report[0].startswith("this run: 1 request in ")
    assert list((host.config.home / "cache-metrics").glob("requests-*")) == []
    async with served(tmp_path / "other") as idle:
        pass
    assert idle.report == []


async def test_each_metric_of_the_board_is_one_of_a_host_with_these_labels(tmp_path: Path) -> None:
    async with served_with_upstream(tmp_path, Turn("Hi.")) as host:
        await host.client.post("/v1/messages", json=ASK)
        shown = await families(host)
    definition = BOARD["templating"]["list"][1]["definition"]
    asked = {name for text in [*expressions(), definition] for name in re.findall(r"anyclaude_\w+", text)}
    labels = {label for family in shown.values() for sample in family.samples for label in sample.labels}
    assert asked - set(shown) - labels == set()
    table = (DOCS / "tracing-and-metrics.md").read_text("utf-8").split("### Prometheus")[1]
    documented = re.findall(r"`(anyclaude_\w+)`", table)
    families_shown = {sample.removesuffix("_bucket") for sample in shown if not sample.endswith(ENDINGS)}
    assert set(documented) >= families_shown
    # Every metric but these is on the board.
    assert {name for name in shown if not name.endswith(ENDINGS)} - asked == {
        "anyclaude_tool_calls_by_grammar_total"
    }
    for text in expressions():
        named = set(re.findall(r"(\w+)=~?\"", text))
        for part in re.findall(r"by \(([^)]*)\)", text):
            named.update(re.findall(r"\w+", part))
        for name in re.findall(r"anyclaude_\w+(?=\{)", text):
            own = {label for sample in shown[name].samples for label in sample.labels}
            assert not own or named <= own | {"instance"}, text


def panels() -> Iterator[dict[str, Any]]:
    yield from BOARD["panels"]


def test_the_board_has_what_grafana_requires() -> None:
    """By the schema of version 0.0 in `kinds/dashboard/dashboard_kind.cue` of grafana/grafana."""
    assert BOARD["id"] is None  # the importing Grafana gives it one
    assert 8 <= len(BOARD["uid"]) <= 40
    required = {"title", "style", "editable", "graphTooltip", "time", "schemaVersion", "panels", "templating"}
    assert required <= set(BOARD)
    assert (BOARD["style"], BOARD["editable"], set(BOARD["time"])) == ("dark", True, {"from", "to"})
    assert BOARD["graphTooltip"] in (0, 1, 2)
    assert isinstance(BOARD["schemaVersion"], int)
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    variables = {variable["name"] for variable in BOARD["templating"]["list"]}
    for variable in BOARD["templating"]["list"]:
        assert variable["type"] in ("datasource", "query")
        assert variable["hide"] in (0, 1, 2)
    declared = {one["id"] for one in BOARD["__requires"]}
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        assert 0 <= place["x"] < 24 >= place["x"] + place["w"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, f"{panel['title']} lies on another panel"
        taken |= cells
        if panel["type"] == "row":
            assert (panel["collapsed"], panel["panels"]) == (False, [])
            continue
        assert panel["type"] in declared
        assert panel["title"]
        assert panel["options"]
        assert panel["fieldConfig"]["overrides"] == []
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["type"] in declared
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters) > 0
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"]
            assert set(re.findall(r"\$(?!__)\{?(\w+)", json.dumps(target))) <= variables
            assert target["expr"].count("(") == target["expr"].count(")")
