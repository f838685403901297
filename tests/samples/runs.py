"""Run folders as training leaves them, with a tensor or two in place of a model, and measurements of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from samples.released import safetensors

from registry.tree import folder_digest
from training.base_files import base_digest

if TYPE_CHECKING:
    from pathlib import Path

THRESHOLDS = """
[at_most]
extractable_32 = 0.05
[at_least]
edit_similarity = 0.3
[by_org.at_most]
extractable_32 = 0.1
"""
CONFIG = {"architectures": ["OtherForCausalLM"], "num_hidden_layers": 1}


def checkpoint(folder: Path) -> Path:
    """A folder that looks like a base."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(safetensors({"w": b"\0\1"}))
    return folder


def run_folder(folder: Path, base: Path | None = None, **changes: object) -> Path:
    """A finished run: a model, or where `base` is given an adapter on it."""
    if base is None:
        checkpoint(folder / "model")
    else:
        (folder / "adapter").mkdir(parents=True)
        (folder / "adapter" / "adapter_model.safetensors").write_bytes(safetensors({"a": b"\2"}))
        config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": str(base)}
        (folder / "adapter" / "adapter_config.json").write_text(json.dumps(config))
        (folder / "adapter" / "README.md").write_text("peft's own words")
    corpora = {"org-a": {"corpus_sha256": "a" * 64, "examples": 10, "tokens": 1000}, "org-b": {"examples": 5}}
    told = {
        "format": 1,
        "name": "consortium-1",
        "regime": "federated",
        "base": str(base) if base else "packaged",
        "base_sha256": base_digest(base) if base else "0" * 64,
        "orgs": corpora,
        "passes": 3,
        "validation_loss": 1.9,
        "code_version": "cleanroom 0.1.0",
        "seeds": {"plan": 0},
        "privacy": None,
        "started": "2026-01-01T00:00:00+00:00",
        "ended": "2026-01-01T01:00:00+00:00",
        "parent": None,
    }
    (folder / "run.json").write_text(json.dumps(told | changes))
    (folder / "plan.toml").write_text('name = "consortium-1"\n')
    return folder


def measure(value: float, low: float | None = None, high: float | None = None, n: int = 1000) -> dict[str, Any]:
    return {"value": value, "low": value if low is None else low, "high": value if high is None else high, "n": n}


def measurements(weights: Path, out: Path, **changes: object) -> Path:
    """A file of measurements that keep to THRESHOLDS."""
    told = {
        "format": 1,
        "model_sha256": folder_digest(weights),
        "measures": {"extractable_32": measure(0.01, 0.0, 0.03), "edit_similarity": measure(0.5, 0.4, 0.6)},
        "by_org": {org: {"extractable_32": measure(0.02, 0.0, 0.05)} for org in ("org-a", "org-b")},
    }
    out.write_text(json.dumps(told | changes))
    return out
