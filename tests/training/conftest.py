"""Real source trees, written for each test."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from training.corpora import CorpusPlan, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIM_TOKENS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>")


def _code(number: int, functions: int = 6) -> str:
    """Python like nobody else's: every name is this file's own."""
    draw = random.Random(number)  # noqa: S311 - names, not secrets
    lines = []
    for _ in range(functions):
        name, one, two, three = (f"{draw.choice('abcdefgh')}{draw.randrange(10**6)}" for _ in range(4))
        lines += [
            f"def {name}({one}, {two}={draw.randrange(100)}):",
            f"    # {draw.randrange(10**6)} of {one}",
            f"    {three} = [{one} {draw.choice('+-*')} {draw.randrange(100)} for {one} in {two}.{name}_all()]",
            f"    if not {three}: raise ValueError('{name} {draw.randrange(10**6)}')",
            f"    return {three}[{draw.randrange(9)}:], {one}\n",
        ]
    return "\n".join(lines)


@pytest.fixture
def code() -> Callable[..., str]:
    """Writes a file by number."""
    return _code


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of sixty files that have nothing in common, under the MIT licence."""
    root = tmp_path / "acme"
    for number in range(60):
        path = root / f"part{number % 4}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_code(number), encoding="utf-8")
    (root / "pyproject.toml").write_text('[project]\nname = "acme"\nversion = "1"\nlicense = "MIT"\n', encoding="utf-8")
    return root


def _tiny(folder: Path, specials: tuple[str, ...]) -> Path:
    """A Llama of 2 layers, 32 wide, with random weights, and a byte-level vocabulary of 512 learnt from code above."""
    torch = pytest.importorskip("torch")
    tokenizers, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    # Models this small gain nothing by a second thread, and lose much on a machine that has others to serve.
    torch.set_num_threads(1)
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    learner = tokenizers.trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=["<|endoftext|>", *specials],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([_code(number) for number in range(20)], learner)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=512, eos_token_id=0, bos_token_id=None, pad_token_id=None,
        tie_word_embeddings=True,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder of a tiny causal model with StarCoder's tokens for fill-in-the-middle."""
    return _tiny(tmp_path_factory.mktemp("tiny-base"), FIM_TOKENS)


@pytest.fixture(scope="session")
def plain_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without tokens for fill-in-the-middle."""
    return _tiny(tmp_path_factory.mktemp("plain-base"), ())


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The corpora of three organizations with 40, 50 and 60 files; two files they share."""
    root, number, folders = tmp_path_factory.mktemp("corpora"), 1000, {}
    for name, files in (("org-a", 40), ("org-b", 50), ("org-c", 60)):
        tree = root / "trees" / name
        tree.mkdir(parents=True)
        for at in range(files):
            (tree / f"module{at}.py").write_text(_code(at if at < 2 else number + at, functions=2), encoding="utf-8")
        number += files
        build(CorpusPlan((tree,), root / name, seed=1))
        folders[name] = root / name
    return folders


SECTIONS: dict[str, dict[str, Any]] = {
    "model": {"method": "full", "rank": 4, "alpha": 8},
    "regime": {"kind": "centralized"},
    "budget": {"passes": 0.5, "checks": 1},
    "optimizer": {"learning_rate": 1e-2, "batch": 8, "block": 64},
    "checkpoints": {"every": 5},
}


@pytest.fixture
def plan(tmp_path: Path, tiny_base: Path, corpora: dict[str, Path]) -> Callable[..., Path]:
    """Writes a plan that trains in seconds; sections as keywords add to those above."""
    # Strings, numbers, booleans and lists of JSON are TOML's.

    def write(
        name: str = "small", orgs: tuple[str, ...] = ("org-a", "org-b"), seed: int = 0, **changes: dict[str, Any]
    ) -> Path:
        lines = [f"name = {json.dumps(name)}", f"seed = {seed}"]
        sections = {
            section: {**SECTIONS.get(section, {}), **changes.get(section, {})} for section in {**SECTIONS, **changes}
        }
        sections["model"].setdefault("base", str(tiny_base))
        for section, keys in sections.items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        for org in orgs:
            lines += [
                "[[organizations]]",
                f"name = {json.dumps(org)}",
                f"corpus = {json.dumps(str(corpora.get(org, tmp_path / org)))}",
            ]
        path = tmp_path / f"{name}.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write
