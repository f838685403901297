"""A release of a real, tiny model, served over HTTP: what it says, and what the ledger says of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from samples.runs import THRESHOLDS, measurements, run_folder
from samples.tiny_llama import adapter_on, tiny_llama

from registry.keys import make_key
from registry.releases import Releases
from service.engines.registry import create_engine
from service.released import released_model, served_release
from service.settings import load_settings
from training.gate import Submission, create

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from service.parts import Services

pytestmark = [
    pytest.mark.training,
    # peft asks transformers by an old name.
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),
]
PROMPT = "def total(values):\n    return"


def test_a_served_release_is_what_was_trained_and_is_named_by_each_decision(
    tmp_path: Path, services: Services, running: Callable[..., AbstractContextManager[str]], secret: str
) -> None:
    transformers = pytest.importorskip("transformers")
    base = tiny_llama(tmp_path / "base")
    run = run_folder(tmp_path / "run", base)
    adapted = adapter_on(base, run / "adapter")
    (tmp_path / "thresholds.toml").write_text(THRESHOLDS)
    told = measurements(run / "adapter", tmp_path / "measured.json")
    key = make_key(tmp_path / "key.pem")
    submission = Submission(run, "tiny", tmp_path / "thresholds.toml", [told])
    release = create(submission, Releases(tmp_path), key, frozenset({key.public}), pytest.fail)
    settings = load_settings(
        home=tmp_path,
        model="release:tiny",
        engine="transformers",
        release_base=str(base),
        release_keys=str(key.public),
    )
    served = served_release(settings)
    assert served is not None
    loaded = released_model(settings, served.release)
    engine = create_engine("transformers", settings.model, home=tmp_path, released=loaded)

    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    drawn = adapted.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)[0][ids.shape[1] :]
    expected = tokenizer.decode(drawn, skip_special_tokens=True)
    body = {"prompt": PROMPT, "max_tokens": 8, "temperature": 0}
    with (
        running(replace(services, settings=settings, engine=engine, release=served)) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {secret}"}, timeout=60) as client,
    ):
        assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["tiny"]
        answer = client.post("/v1/completions", json=body).json()
        # The engine gives no half of a character, which random weights often end with.
        assert answer["choices"][0]["text"].rstrip("\ufffd") == expected.rstrip("\ufffd") != ""
        assert answer["model"] == "tiny"
        Releases(tmp_path).revocations.add(key, "tiny@1", release.digest, "recites")
        refused = client.post("/v1/completions", json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_withdrawn")
    ledger: Any = services.ledger
    (entry,) = ledger.entries()
    assert (entry.record.model, entry.record.release) == ("tiny", f"tiny@1 sha256:{release.digest}")
