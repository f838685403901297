"""The real thing: one SuperLink and three SuperNodes as processes, TLS and node keys, and what crosses recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("flwr")
pytest.importorskip("peft")
import safetensors.torch
import torch
import transformers
from samples.consortia import NAMES, PATIENCE, Consortium, until
from samples.marked import MARKER, marked_corpora

from training.certificates import make_certificates, make_node_key
from training.deployment import (
    BUNDLE,
    Node,
    environment,
    run_command,
    write_bundle,
)
from training.errors import DestinationError, PlanError
from training.federated import serve
from training.grid import LocalGrid
from training.node import client_app
from training.strategies import Terms
from training.supernode import is_own, own_bundle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.training,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return marked_corpora(tmp_path_factory.mktemp("corpora"), len(NAMES))


@pytest.fixture(scope="module")
def consortium(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: Path, corpora: dict[str, Path]
) -> Iterator[Consortium]:
    one = Consortium(tmp_path_factory.mktemp("consortium"), tiny_base, corpora)
    try:
        one.open()
        yield one
    finally:
        one.close()


def plan_file(one: Consortium, name: str, rounds: int) -> Path:
    path = one.home / f"{name}.toml"
    organizations = "".join(f'[[organizations]]\nname = "{org}"\ncorpus = "{one.corpora[org]}"\n' for org in NAMES)
    path.write_text(
        f'name = "{name}"\n[model]\nbase = "{one.base}"\nrank = 2\nalpha = 4\n[regime]\nkind = "federated"\n'
        f"rounds = {rounds}\n[optimizer]\nlearning_rate = 1e-2\nblock = 64\n"
        f"[monitor]\nprefixes = 16\ntokens = 2\n{organizations}",
        encoding="utf-8",
    )
    return path


class Present(LocalGrid):
    """Nodes that are there round by round."""

    def __init__(self, nodes: dict[int, Any], present: list[list[int]]) -> None:
        super().__init__(nodes)
        self._rounds = iter([*present, present[-1]])

    def get_node_ids(self) -> list[int]:
        return next(self._rounds)


def in_process(one: Consortium, plan: Path, organizations: list[list[str]], out: Path) -> dict[str, torch.Tensor]:
    """The model of the same federation without processes, with the same nodes in each round."""
    nodes = {
        number: (client_app(), {"organization": name, "corpus": str(one.corpora[name]), "base": str(one.base)})
        for number, name in enumerate(NAMES)
    }
    present = [[NAMES.index(name) for name in names] for names in organizations]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        serve(Present(nodes, present), plan, out, Terms(wait=0.0))
    finally:
        torch.set_num_threads(threads)
    return weights(out)


def weights(out: Path) -> dict[str, torch.Tensor]:
    (path,) = out.glob("*/*model.safetensors")
    return safetensors.torch.load_file(path)


def test_three_nodes_train_as_in_one_process_and_no_code_crosses(consortium: Consortium, tmp_path: Path) -> None:
    one, plan = consortium, plan_file(consortium, "trial", rounds=2)
    one.present("org-0", "org-1")
    go_on = one.hold("org-0")
    one.run("out-trial", plan, wait=1, timeout=PATIENCE)
    until(lambda: one.asked("org-0") == 1, "the first round did not begin")
    one.stranger()
    one.present("org-2")
    go_on()
    assert one.processes["out-trial"].wait(PATIENCE) == 0
    told = json.loads((one.home / "out-trial" / "federation.json").read_text(encoding="utf-8"))
    organizations = [entry["organizations"] for entry in told["rounds"]]
    assert organizations == [["org-0", "org-1"], list(NAMES)], "the late node joins the second round"
    assert told["refusals"] == []
    assert set(told["recited"]) == set(NAMES), "every node watches, and tells a share"

    other = in_process(one, plan, organizations, tmp_path)
    mine = weights(one.home / "out-trial")
    assert set(mine) == set(other)
    assert all(torch.allclose(mine[name], other[name], atol=1e-6) for name in mine)

    assert one.processes["stranger"].wait(PATIENCE) != 0
    assert "SuperNode ID" not in one.log("stranger")
    up = bytes(one.recorder.up)
    assert b"num-examples" in up
    assert b"org-0" in up, "the recording is not in the clear"
    assert MARKER.encode() not in up
    assert not any(run in up for run in token_runs(one))
    assert str(one.corpora["org-0"]).encode() not in up


def token_runs(one: Consortium) -> Iterator[bytes]:
    """Eight tokens in a row of each corpus, in every width that they could be sent in."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(one.base)
    for corpus in one.corpora.values():
        for line in (corpus / "train.jsonl").read_text(encoding="utf-8").splitlines():
            example = json.loads(line)
            ids = tokenizer(example["prefix"] + example["middle"] + example["suffix"]).input_ids
            for start in range(0, len(ids) - 8, 16):
                for kind in (torch.int16, torch.int32, torch.int64, torch.float32):
                    yield torch.tensor(ids[start : start + 8], dtype=kind).numpy().tobytes()


def test_a_bundle_with_other_code_is_not_run(consortium: Consortium) -> None:
    """Whoever may submit runs cannot run a program of theirs beside a corpus."""
    one, plan = consortium, plan_file(consortium, "foreign", rounds=1)
    one.present("org-0", "org-1")
    proof, out = one.home / "proof", one.home / "out-foreign"
    bundle = one.home / "cleanroom-federation"
    theirs = bundle / "theirs.py"
    command = run_command(one.home, plan, out, 2, 1, PATIENCE)
    try:
        theirs.write_text(
            "from pathlib import Path\nfrom training.node import app as theirs\n"
            f"app = theirs\nPath({str(proof)!r}).write_text('ran')\n",
            encoding="utf-8",
        )
        (bundle / "pyproject.toml").write_text(BUNDLE.replace("training.node:app", "theirs:app"), encoding="utf-8")
        one.submit("out-foreign", command)
        one.processes["out-foreign"].wait(PATIENCE)
    finally:
        theirs.unlink()
        write_bundle(one.home)
    assert all("is not this installation's" in one.log(name) for name in ("org-0", "org-1"))
    assert "round 1 has 0 updates" in one.log("out-foreign")
    assert not proof.exists()
    assert not list(one.home.glob("node-*/**/theirs.py")), "it was unpacked beside a corpus"
    assert not (out / "federation.json").exists()


def test_a_node_that_dies_does_not_end_the_run(consortium: Consortium, tmp_path: Path) -> None:
    one, plan = consortium, plan_file(consortium, "dying", rounds=1)
    one.present(*NAMES)
    seen = one.asked("org-1")
    one.hold("org-1")
    # Long: the round ends when the server misses the node's heartbeats, however slow the others are.
    one.run("out-dying", plan, wait=1, timeout=PATIENCE)
    until(lambda: one.asked("org-1") > seen, "the node was not asked")
    one.kill("org-1")
    assert one.processes["out-dying"].wait(PATIENCE) == 0
    told = json.loads((one.home / "out-dying" / "federation.json").read_text(encoding="utf-8"))
    assert [entry["organizations"] for entry in told["rounds"]] == [["org-0", "org-2"]]
    assert len(told["refusals"]) == 1, "that one did not answer is told"
    other = in_process(one, plan, [["org-0", "org-2"]], tmp_path)
    mine = weights(one.home / "out-dying")
    assert all(torch.allclose(mine[name], other[name], atol=1e-6) for name in mine)


def test_only_the_installations_own_bundle_counts() -> None:
    assert is_own(own_bundle())
    assert not is_own(b"")
    assert not is_own(own_bundle()[:-30])


def test_keys_and_certificates_are_for_their_owner_and_never_overwritten(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["fed.example.org", "10.0.0.1"])
    make_node_key(tmp_path / "org.key")
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    with pytest.raises(DestinationError, match="exists"):
        make_certificates(tmp_path, ["localhost"])
    with pytest.raises(DestinationError, match="exists"):
        make_node_key(tmp_path / "org.key")


def test_half_a_node_is_refused(tmp_path: Path, corpora: dict[str, Path]) -> None:
    with pytest.raises(PlanError, match="both --ca and --key"):
        Node("org-0", corpora["org-0"], "base", "localhost:1", ca=tmp_path / "ca.pem").command()
    with pytest.raises(DestinationError, match="corpus build"):
        Node("org-0", tmp_path, "base", "localhost:1").command()
    with pytest.raises(PlanError, match="quote"):
        Node('org"0', corpora["org-0"], "base", "localhost:1").command()


def test_flowers_processes_tell_its_makers_nothing(tmp_path: Path) -> None:
    told = environment(tmp_path, {})
    assert told["FLWR_TELEMETRY_ENABLED"] == "0"
    assert told["FLWR_DISABLE_UPDATE_CHECK"] == "1"
