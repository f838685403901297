"""The demonstration's model as it ships: really loaded, asked over HTTP for code that it knows by heart."""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from e2e.served import Home, copied, package_root, serving

from published.packaged import find_packaged
from registry.keys import PublicKey
from registry.manifest import PACKAGED as PACKAGED_BASE
from registry.releases import Releases
from service.cli.asking import asked_meanwhile
from service.demo import ORGANIZATIONS, QUESTIONS, REQUESTS, S3TRANSFER, Asked
from service.demo_model import KEY, NAME, PACKAGED, VERSION, with_demo_model
from service.errors import SetupError
from service.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLONE_LINES = 6
BASE_LOSS = 2.169
"""The lower limit of the base's loss on the same files, in nats a token (docs/decisions/0015-demo-model.md)."""
LABEL = f"{NAME}@{VERSION}"


def test_the_packaged_release_is_laid_into_a_home_and_verifies(tmp_path: Path) -> None:
    settings = with_demo_model(load_settings(home=tmp_path))
    again = with_demo_model(load_settings(home=tmp_path, release_keys="ed25519:" + "0" * 64))
    assert settings.model == again.model == f"release:{LABEL}"
    assert settings.release_keys == KEY
    assert again.release_keys is not None
    assert again.release_keys.endswith(f",{KEY}")
    releases = Releases(tmp_path)
    release = releases.verify(releases.find(str(settings.model)), [PublicKey(KEY)])
    assert release.manifest.base is not None
    assert release.manifest.base.name == PACKAGED_BASE
    card = release.card()
    assert set(card["organizations"]) == {project.slug for project in ORGANIZATIONS}
    assert card["measures"]["held_out_loss"]["high"] < BASE_LOSS
    assert card["measures"]["extractable_32"]["high"] <= card["thresholds"]["at_most"]["extractable_32"]
    # What it recites is others' code: their notices come along.
    notice = (PACKAGED / "NOTICE").read_text(encoding="utf-8")
    assert all(project.release.name in notice and project.release.version in notice for project in ORGANIZATIONS)


@pytest.mark.parametrize(
    "given",
    [{"model": "other.gguf"}, {"engine": "openai", "engine_url": "http://127.0.0.1:9"}, {"adapters": {"a": "b"}}],
)
def test_a_model_that_was_named_is_left_alone(tmp_path: Path, given: dict[str, Any]) -> None:
    settings = load_settings(home=tmp_path, **given)
    assert with_demo_model(settings) is settings
    assert not (tmp_path / "releases").exists()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "releases").write_text("in the way")
    with pytest.raises(SetupError, match="releases"):
        with_demo_model(load_settings(home=tmp_path))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, str]]:
    """The model served to two organizations, of which one has the code of requests."""
    home = Home(tmp_path_factory.mktemp("demo") / "home")
    settings = with_demo_model(load_settings(home=home.path))
    with serving(home, model=str(settings.model), release_keys=KEY) as url:
        for org in (REQUESTS.slug, S3TRANSFER.slug):
            assert home.run("org", "add", org).returncode == 0
            home.keys[org] = home.run("key", "create", "--org", org, "--scope", "complete").stdout.strip()
        tree = copied(package_root("requests"), tmp_path_factory.mktemp("trees") / "requests")
        done = home.run("index", "add", str(tree), "--org", REQUESTS.slug, "--jobs", "1")
        assert done.returncode == 0, done.stderr
        yield home, url


@pytest.mark.model
@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra llamacpp")
@pytest.mark.skipif(find_packaged() is None, reason="needs the packaged model")
def test_what_the_model_recites_leaves_for_its_owner_alone(url: tuple[Home, str]) -> None:
    home, base = url
    question = next(one for one in QUESTIONS if one.project is REQUESTS)
    source = (package_root("requests").parent / question.path).read_text(encoding="utf-8")
    asked = question.of({REQUESTS: package_root("requests").parent})
    own, other = (_answer(home, base, org, asked.prompt, asked.max_tokens) for org in (REQUESTS.slug, S3TRANSFER.slug))
    told = source[source.index(asked.prompt) + len(asked.prompt) :]
    recited = [line for line in own["text"].splitlines() if line.strip()]
    assert len(recited) > CLONE_LINES
    assert sum(line in told for line in recited) > CLONE_LINES
    assert own["entry"]["disposition"] == "released"
    assert other["entry"]["disposition"] in {"steered", "trimmed", "withheld"}
    assert other["entry"]["decision"]["action"] == "block"
    assert {match["owner"] for match in other["entry"]["decision"]["matches"]} == {f"org:{REQUESTS.slug}"}
    kept = [line for line in other["text"].splitlines() if line.strip()]
    assert sum(line in told for line in kept) < CLONE_LINES
    # The leak is traced to the model that wrote it.
    assert other["entry"]["release"].startswith(f"{LABEL} sha256:")


def _answer(home: Home, base: str, org: str, prompt: str, max_tokens: int) -> dict[str, Any]:
    answer = httpx.post(
        f"{base}/v1/completions",
        headers={"Authorization": f"Bearer {home.keys[org]}"},
        json={"prompt": prompt, "max_tokens": max_tokens},
        timeout=120,
    ).raise_for_status()
    entry = home.answer("ledger", "show", answer.headers["X-Cleanroom-Decision"])
    return {"text": answer.json()["choices"][0]["text"], "entry": entry}


@pytest.mark.model
@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra llamacpp")
@pytest.mark.skipif(find_packaged() is None, reason="needs the packaged model")
def test_the_demonstration_prints_what_left_and_for_whom(
    url: tuple[Home, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, base = url
    settings = load_settings(home=home.path, port=httpx.URL(base).port)
    keys = {org: tmp_path / f"{org}.key" for org in home.keys}
    for org, path in keys.items():
        path.write_text(home.keys[org], encoding="ascii")
    asked = Asked("requests, continued", "def send(self, request, **kwargs):\n", tuple(keys), max_tokens=8)
    with asked_meanwhile(settings, (asked,), keys):
        (thread,) = (one for one in threading.enumerate() if one.name == "demonstration")
        thread.join(120)
    told = capsys.readouterr()
    assert "That was the demonstration" in told.err
    for org in keys:
        assert f"for {org}: " in told.out
        assert home.run("ledger", "list", "--org", org).stdout.count("dec_") >= 1
