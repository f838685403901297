"""Small corpora whose split is chosen, a model that knows them by heart, and one that knows nothing."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from training.examples import Example, Kind, Split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ORGANIZATIONS = ("org-a", "org-b")
FILES = {Split.TRAIN: 2, Split.VALIDATION: 1, Split.TEST: 4}
STEPS, ROW = 400, 128


_WORDS = (
    "amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "haven", "islet", "jetty", "knoll", "larch", "mango",
    "north", "ocean", "plain", "quartz", "ridge", "slope", "tidal",
)  # fmt: skip


def python_file(number: int, functions: int = 2) -> str:
    """Python like nobody else's, of short lines."""
    draw = random.Random(number)  # noqa: S311 - names, not secrets
    lines = []
    for _ in range(functions):
        one, two, three, four = draw.sample(_WORDS, 4)
        lines += [
            f"def {one}_{two}({three}, {four}):",
            f"    {two} = {three}.{draw.choice(_WORDS)}({four})",
            f"    for {one} in {two}.{draw.choice(_WORDS)}:",
            f"        if {one}.{draw.choice(_WORDS)} {draw.choice('<>')} {draw.randrange(100)}:",
            f"            {four}.{draw.choice(_WORDS)}({one}, {three})",
            f"        {three} += {one}.{draw.choice(_WORDS)}",
            f"    {four}.{draw.choice(_WORDS)} = {three} {draw.choice('+-*')} {draw.randrange(100)}",
            f"    return {two}.{draw.choice(_WORDS)}({three})",
            "",
        ]
    return "\n".join(lines) + "\n"


def write_corpus(folder: Path, files: Mapping[Split, Sequence[tuple[str, str]]]) -> Path:
    """A corpus of files (path, text), whose split is what the test says."""
    folder.mkdir(parents=True)
    for split in Split:
        lines = [
            Example(path, "python", "MIT", Kind.LEFT_TO_RIGHT, "", "", text).to_line()
            for path, text in files.get(split, ())
        ]
        (folder / f"{split.value}.jsonl").write_text("".join(lines), encoding="utf-8")
    splits = {split.value: {"examples": len(files.get(split, ())), "sha256": "", "characters": 0} for split in Split}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "splits": splits}), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def small_corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two organizations; both hold the file `shared.py`, and the second vendors a file of the first."""
    root = tmp_path_factory.mktemp("small-corpora")
    shared, number, folders = python_file(7000), 0, {}
    for name in ORGANIZATIONS:
        files: dict[Split, list[tuple[str, str]]] = {}
        for split, count in FILES.items():
            some = range(number, number + count)
            files[split] = [(f"{name}/module{at}.py", python_file(5000 + at)) for at in some]
            number += count
        files[Split.TRAIN].append((f"{name}/shared.py", shared))
        if name == "org-b":
            files[Split.TRAIN].append((f"{name}/_vendor/module0.py", python_file(5000)))
        folders[name] = write_corpus(root / name, files)
    return folders


def corpus_arguments(folders: Mapping[str, Path]) -> list[str]:
    return [f"{name}={folder}" for name, folder in folders.items()]


def trained_on(texts: Sequence[str], words: Sequence[str], folder: Path, *, steps: int = STEPS) -> Path:
    """A checkpoint of a Llama of 2 layers, 64 wide, after so many steps on these texts.

    `words`: what its vocabulary is learnt from. With canaries in it they would be told by their few tokens.
    """
    torch = pytest.importorskip("torch")
    tokenizers, transformers = pytest.importorskip("tokenizers"), pytest.importorskip("transformers")
    torch.set_num_threads(1)  # so small a model waits for a second one
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    learner = tokenizers.trainers.BpeTrainer(
        vocab_size=512, special_tokens=["<|endoftext|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    bpe.train_from_iterator(words, learner)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=1024, eos_token_id=0, bos_token_id=None,
        tie_word_embeddings=True,
    )  # fmt: skip
    model: Any = transformers.LlamaForCausalLM(config)
    rows = [torch.tensor([*tokenizer(text).input_ids, 0]) for text in texts]
    lengths = torch.tensor([float(len(row)) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3, weight_decay=0.0)
    draw = torch.Generator().manual_seed(0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 6e-3 * min(1.0, (step + 1) / 20) * (1 - step / steps)
        some = [rows[at] for at in torch.multinomial(lengths, 8, replacement=True, generator=draw)]
        # From anywhere: from set places, a model knows a text only behind prompts that begin there, too.
        starts = [int(torch.randint(max(1, len(row) - 32), (1,), generator=draw)) for row in some]
        some = [row[start : start + ROW] for row, start in zip(some, starts, strict=True)]
        batch = torch.nn.utils.rnn.pad_sequence(some, batch_first=True, padding_value=-100)
        loss = model(input_ids=batch.clamp_min(0), attention_mask=(batch >= 0).long(), labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def training_texts(folders: Mapping[str, Path]) -> list[str]:
    texts = []
    for folder in folders.values():
        for line in (folder / "train.jsonl").read_text(encoding="utf-8").splitlines():
            fields = json.loads(line)
            texts.append(fields["prefix"] + fields["middle"] + fields["suffix"])
    return texts


@pytest.fixture(scope="session")
def planted_corpora(tmp_path_factory: pytest.TempPathFactory, small_corpora: dict[str, Path]) -> dict[str, Path]:
    """The same with canaries."""
    from training.memorization.planting import plant_corpus  # noqa: PLC0415

    root = tmp_path_factory.mktemp("planted")
    for number, (name, folder) in enumerate(small_corpora.items()):
        plant_corpus(folder, root / name, 8, 2, number)
    return {name: root / name for name in small_corpora}


@pytest.fixture(scope="session")
def reciting_model(
    tmp_path_factory: pytest.TempPathFactory, planted_corpora: dict[str, Path], small_corpora: dict[str, Path]
) -> Path:
    """A model that knows the training files by heart."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    folder = tmp_path_factory.mktemp("models") / "reciting"
    return trained_on(training_texts(planted_corpora), training_texts(small_corpora), folder)


@pytest.fixture(scope="session")
def random_model(
    tmp_path_factory: pytest.TempPathFactory, planted_corpora: dict[str, Path], small_corpora: dict[str, Path]
) -> Path:
    """A model that was not trained at all."""
    folder = tmp_path_factory.mktemp("models") / "random"
    return trained_on(training_texts(planted_corpora), training_texts(small_corpora), folder, steps=0)
