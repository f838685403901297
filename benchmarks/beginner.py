"""The base of the reproduction: a small Llama that has read public code, and none of any organization.

Trained from scratch on modules of the standard library, once, by `cleanroom train`'s own code; kept where it was made.
"""

from __future__ import annotations

import json
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training.corpora import CorpusPlan, build
from training.errors import EmptyCorpusError
from training.examples import Split

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from training.log import At

LARGEST = 40_000
"""Characters of a module that is read."""
SEEDS = 50
SMALL = 128
"""Width of a model up to which one thread is the fastest."""


@dataclass(frozen=True, slots=True)
class Size:
    """The model, and the characters of public code that it reads for `passes`; a row has `block` tokens."""

    width: int
    layers: int
    vocabulary: int
    public: int
    passes: float
    block: int = 128


def base(folder: Path, size: Size, threads: int, report: Callable[[At], None]) -> Path:
    """The checkpoint folder of the base, below `folder`; trains it if it is not there."""
    done = folder / "base"
    if done.is_dir():
        return done
    tree = folder / "public"
    if not tree.is_dir():
        _copy_public(tree, size.public)
    split_corpus(tree, folder / "corpora-public")
    texts = [path.read_text(encoding="utf-8") for path in sorted(tree.glob("*.py"))]
    random = untrained(folder / "untrained", texts, size)
    plan = folder / "base.toml"
    plan.write_text(
        "\n".join([
            'name = "base"', "[model]", f"base = {json.dumps(str(random))}", 'method = "full"', 'device = "cpu"',
            "[budget]", f"passes = {size.passes}", "checks = 1",
            "[optimizer]", "learning_rate = 3e-3", "batch = 4", f"block = {size.block}",
            "[[organizations]]", 'name = "public"', f"corpus = {json.dumps(str(folder / 'corpora-public'))}",
        ]),
        encoding="utf-8",
    )  # fmt: skip
    import torch  # noqa: PLC0415 - of an extra

    from training.run import run_plan  # noqa: PLC0415

    # A small model waits for a second thread at every operation.
    torch.set_num_threads(threads if size.width > SMALL else 1)
    run = folder / "base-run"
    run_plan(plan, run, resume=(run / "checkpoints" / "begun.json").is_file(), report=report)
    # Out of its run folder: what was read is public, and no budget of privacy is held to it.
    draft = folder / ".base"
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(run / "model", draft)
    draft.rename(done)
    return done


def split_corpus(tree: Path, out: Path) -> None:
    """The corpus of one tree, by the first seed at which something is held out in each split: files are few.

    Raises EmptyCorpusError where no seed does it.
    """
    for seed in range(SEEDS):
        manifest = build(CorpusPlan((tree,), out, seed=seed, fim_rate=0.0))
        if all(manifest.splits[split].kinds for split in Split):
            return
    message = f"{tree} has too few files to hold some out: raise the size"
    raise EmptyCorpusError(message)


def _copy_public(tree: Path, characters: int) -> None:
    """Modules of the standard library until there are so many characters."""
    draft = tree.with_name(f".{tree.name}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    size = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if size < characters and len(text) <= LARGEST:
            (draft / path.name).write_text(text, encoding="utf-8")
            size += len(text)
    draft.rename(tree)


def untrained(folder: Path, texts: Sequence[str], size: Size) -> Path:
    """A checkpoint with random weights, and a byte-level vocabulary learnt from `texts`."""
    import tokenizers  # noqa: PLC0415 - of an extra
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    learner = tokenizers.trainers.BpeTrainer(
        vocab_size=size.vocabulary, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bpe.train_from_iterator(texts, learner)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")  # noqa: S106
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=size.width, intermediate_size=8 * size.width // 3,
        num_hidden_layers=size.layers, num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=1024,
        eos_token_id=0, bos_token_id=None, pad_token_id=None, tie_word_embeddings=True,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
