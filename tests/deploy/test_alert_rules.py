"""What Prometheus itself says of its configuration and of the alerts, on series that are made up."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from samples.tools import required

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
# By alert: series (of a value a minute, in promtool's notation) on which it fires, others on which it does not, and the
# minutes after which it is asked.
CASES: dict[str, tuple[dict[str, str], dict[str, str], int]] = {
    "CleanroomGuardUnavailable": (
        {'cleanroom_part_up{instance="a",part="ledger"}': "1 0x5"},
        {'cleanroom_part_up{instance="a",part="ledger"}': "1 0 1x4", 'cleanroom_part_up{part="engine"}': "0x5"},
        4,
    ),
    "CleanroomEngineDown": (
        {'cleanroom_part_up{instance="a",part="engine"}': "0x5"},
        {'cleanroom_part_up{instance="a",part="engine"}': "1x5"},
        4,
    ),
    "CleanroomGone": ({'up{job="cleanroom",instance="a"}': "0x5"}, {'up{job="other",instance="a"}': "0x5"}, 4),
    "CleanroomRefusalsRising": (
        {'cleanroom_refusals_total{instance="a",error="StoreUnavailableError"}': "0+3x20"},
        {'cleanroom_refusals_total{instance="a",error="StoreUnavailableError"}': "0+1x20"},
        15,
    ),
    "CleanroomGuardSlow": (
        {
            'cleanroom_guard_seconds_bucket{instance="a",work="check",le="0.1"}': "0+90x30",
            'cleanroom_guard_seconds_bucket{instance="a",work="check",le="0.25"}': "0+100x30",
            'cleanroom_guard_seconds_bucket{instance="a",work="check",le="+Inf"}': "0+100x30",
        },
        {
            'cleanroom_guard_seconds_bucket{instance="a",work="check",le="0.1"}': "0+100x30",
            'cleanroom_guard_seconds_bucket{instance="a",work="check",le="+Inf"}': "0+100x30",
        },
        25,
    ),
    "CleanroomEngineFailing": (
        {'cleanroom_engine_errors_total{instance="a",error="EngineFailedError"}': "0+3x20"},
        {'cleanroom_engine_errors_total{instance="a",error="EngineFailedError"}': "0+1x20"},
        15,
    ),
    "CleanroomQueueFull": (
        {'cleanroom_failures_total{instance="a",error="QueueFullError"}': "0+12x20"},
        {'cleanroom_failures_total{instance="a",error="InvalidRequestError"}': "0+12x20"},
        15,
    ),
    "CleanroomBlocksSpike": (
        {'cleanroom_generations_total{instance="a",action="block"}': "0+0x59 60 120 180"},
        {'cleanroom_generations_total{instance="a",action="block"}': "0+60x62"},
        61,
    ),
    "CleanroomLeaksUsedUp": (
        {'cleanroom_leaks_used_up_total{instance="a"}': "0x5 1x5"},
        {'cleanroom_leaks_used_up_total{instance="a"}': "1x10"},
        8,
    ),
    "CleanroomLedgerHeadNotExported": (
        {'cleanroom_ledger_head_age_seconds{instance="a"}': "0+60x20"},
        {'cleanroom_ledger_head_age_seconds{instance="a"}': "0 60 0 60 0x16"},
        12,
    ),
    "CleanroomProbing": (
        {'cleanroom_alerts_total{instance="a",alert="walking"}': "0x5 1x5"},
        {'cleanroom_alerts_total{instance="a",alert="pair_spike"}': "0x5 1x5"},
        8,
    ),
    "CleanroomPairSpike": (
        {'cleanroom_alerts_total{instance="a",alert="pair_spike"}': "0x5 1x5"},
        {'cleanroom_alerts_total{instance="a",alert="probing"}': "0x5 1x5"},
        8,
    ),
    "CleanroomModelRegression": (
        {'cleanroom_alerts_total{instance="a",alert="model_regression"}': "0x5 1x5"},
        {'cleanroom_alerts_total{instance="a",alert="model_regression"}': "1x10"},
        8,
    ),
    "CleanroomWebhookUnreachable": (
        {'cleanroom_webhook_deliveries_total{instance="a",whose="operator",outcome="failed"}': "0+2x30"},
        {
            'cleanroom_webhook_deliveries_total{instance="a",whose="operator",outcome="failed"}': "0+2x30",
            'cleanroom_webhook_deliveries_total{instance="a",whose="operator",outcome="delivered"}': "0+2x30",
        },
        28,
    ),
}


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        [required("promtool", "prometheus"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_is_one_to_prometheus() -> None:
    promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")


def test_the_rules_are_rules_and_every_one_of_them_is_tried() -> None:
    told = promtool("check", "rules", PROMETHEUS / "alerts.yaml")
    assert f"SUCCESS: {len(CASES)} rules found" in told


@pytest.mark.parametrize("alert", CASES)
@pytest.mark.parametrize("fires", [True, False], ids=["fires", "keeps silent"])
def test_an_alert(alert: str, fires: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    firing, silent, minutes = CASES[alert]
    shutil.copy(PROMETHEUS / "alerts.yaml", tmp_path)
    series = [{"series": name, "values": values} for name, values in (firing if fires else silent).items()]
    asked = {"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})', "eval_time": f"{minutes}m"}
    test = {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{**asked, "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}],
    }
    case = {"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "case.yaml").write_text(json.dumps(case))  # JSON is YAML
    promtool("test", "rules", tmp_path / "case.yaml")
