from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import PlanError
from training.plan import OPTIONS, Compartmentalized, Federated, Incremental, Method, Strategy
from training.plan_file import plan_of, read_plan

if TYPE_CHECKING:
    from collections.abc import Callable

MINIMAL = 'name = "small"\n[model]\nbase = "packaged"\n[[organizations]]\nname = "a"\ncorpus = "corpora/a"\n'


def raw(**sections: object) -> dict[str, Any]:
    organizations = [{"name": "org-a", "corpus": "a"}, {"name": "org-b", "corpus": "b"}]
    return {"name": "small", "model": {"base": "packaged"}, "organizations": organizations, **sections}


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """What is said of a plan with these sections."""

    def complaint(**sections: object) -> str:
        with pytest.raises(PlanError) as error:
            plan_of(raw(**sections), tmp_path / "plan.toml")
        assert all(line.startswith(str(tmp_path / "plan.toml")) for line in str(error.value).splitlines())
        return str(error.value)

    return complaint


def test_a_minimal_plan_trains_together_with_adapters(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(MINIMAL, encoding="utf-8")
    plan = read_plan(tmp_path / "plan.toml")
    assert (plan.regime.kind, plan.model.method, plan.model.targets) == ("centralized", Method.LORA, "all-linear")
    assert plan.organizations[0].corpus == tmp_path / "corpora" / "a"
    assert plan.passes == 3


def test_one_file_serves_every_regime(tmp_path: Path) -> None:
    for regime, kind in (
        ({"kind": "federated", "strategy": "fedyogi", "options": {"eta": 0.1}}, Federated),
        ({"kind": "incremental", "order": ["org-b", "org-a"]}, Incremental),
        ({"kind": "compartmentalized"}, Compartmentalized),
    ):
        assert isinstance(plan_of(raw(regime=regime), tmp_path / "plan.toml").regime, kind)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"sede": 3}, "sede is unknown: did you mean 'seed'?"),
        ({"model": {"base": "packaged", "strength": 0.0}}, "model.strength is 0.0"),
        ({"model": {"base": "packaged", "strength": 0.5, "method": "full"}}, "model.strength is 0.5: it weakens"),
        ({"model": {"base": "packaged", "strength": 0.5}, "regime": {"kind": "federated"}}, "model.strength is 0.5"),
        ({"model": {"base": "packaged", "ranc": 8}}, "model.ranc is unknown: did you mean 'rank'?"),
        ({"regime": {"kind": "federated", "ronds": 3}}, "regime.ronds is unknown: did you mean 'rounds'?"),
        ({"regime": {"kind": "federatd"}}, "regime.kind is 'federatd': did you mean 'federated'?"),
        ({"regime": {}}, "regime.kind is missing"),
        ({"regime": {"kind": "centralized", "rounds": 3}}, "regime.rounds is unknown"),
        (
            {"regime": {"kind": "federated", "options": {"etta": 1.0}}},
            "regime.options.etta is unknown: did you mean 'eta'?",
        ),
        ({"optimizer": {"learning_rate": -1.0}}, "optimizer.learning_rate is -1.0: input should be greater than 0"),
        ({"optimizer": {"batch": "8"}}, "optimizer.batch is '8': input should be a valid integer"),
        ({"optimizer": {"batch": 8, "micro_batch": 3}}, "name a divisor of batch, which is 8"),
        ({"seed": True}, "seed is True"),
        ({"organizations": []}, "organizations: name at least one"),
        ({"organizations": [{"name": "a", "corpsu": "x"}]}, "organizations[0].corpsu is unknown: did you"),
        ({"organizations": [{"name": "a", "corpus": "x"}] * 2}, "two are called 'a'"),
        ({"regime": {"kind": "incremental", "order": ["org-a", "orgb"]}}, "'orgb', which is no organization"),
        ({"regime": {"kind": "incremental", "order": ["org-a"]}}, "leaves out 'org-b'"),
        ({"regime": {"kind": "incremental", "order": ["org-a", "org-b", "org-a"]}}, "names one organization twice"),
        ({"regime": {"kind": "federated"}, "budget": {"passes": 3}}, "5 rounds of 1.0 passes are 5.0"),
        ({"regime": {"kind": "compartmentalized"}, "model": {"base": "x", "method": "full"}}, 'write method = "lora"'),
        ({"model": {"base": "packaged", "targets": "q_proj"}}, 'write "all-linear", or a list'),
        ({"data": {"repeat": {"a.py": 0}}}, "data.repeat.a.py is 0: input should be greater than or equal to 1"),
        ({"regime": {"kind": "federated"}, "data": {"repeat": {"a.py": 2}}}, "goes to every node: leave it out"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named_with_the_remedy(
    refused: Callable[..., str], sections: dict[str, Any], said: str
) -> None:
    assert said in refused(**sections)


def test_everything_wrong_is_told_at_once(refused: Callable[..., str]) -> None:
    assert len(refused(sede=1, nmae="x", model={"base": 3}).splitlines()) == 3


@pytest.mark.parametrize("strategy", list(Strategy))
@given(option=st.sampled_from(["eta", "beta", "proximal_mu", "num_malicious_nodes"]))
def test_a_strategy_takes_its_own_options_alone(strategy: Strategy, option: str) -> None:
    value = 1 if option == "num_malicious_nodes" else 0.25
    regime = {"kind": "federated", "strategy": strategy.value, "options": {option: value}}
    if option in OPTIONS[strategy]:
        plan = plan_of(raw(regime=regime), Path("plan.toml"))
        assert isinstance(plan.regime, Federated)
        assert plan.regime.options.given() == {option: value}
    else:
        with pytest.raises(PlanError, match=f"{option} is not read by {strategy}"):
            plan_of(raw(regime=regime), Path("plan.toml"))


def test_a_file_that_is_missing_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        read_plan(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("name = ", encoding="utf-8")
    with pytest.raises(PlanError, match="is no TOML"):
        read_plan(tmp_path / "broken.toml")
