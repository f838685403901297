"""A small Llama that knows functions of one organization by heart, beside public code. Knows no guard.

Trained from scratch, once, and kept in the cache. Needs PyTorch and transformers.
"""

from __future__ import annotations

import random
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clones import functions
from corpora import INDEXED, python_files, sources

if TYPE_CHECKING:
    from clones import Function
    from rich.progress import Progress

PUBLIC_CHARACTERS = 12_000
"""Of each public file."""


REPEATED = 4
"""How often private code stands among the rows for once that public code does."""


@dataclass(frozen=True, slots=True)
class Size:
    """A model: what it learns, how long, and how large it is.

    `functions` learnt by heart, files of `public` code beside them, `steps` of `batch` rows of `block` tokens. A row of
    a function begins every `stride` tokens: where that is less than a block, the model also knows how functions go on
    that it sees from their middle. `width` and `layers` of the Llama, `vocabulary` of its tokenizer.
    """

    functions: int
    public: int
    steps: int
    batch: int = 8
    block: int = 256
    stride: int = 256
    width: int = 192
    layers: int = 4
    vocabulary: int = 4096


def drawn_functions(cache: Path, size: Size, seed: int) -> list[Function]:
    """The functions that the model shall know, of the first of the indexed projects."""
    project = INDEXED[0]
    files = list(python_files(sources([project], cache)[project.name]))
    chosen = sorted(functions(project.name, files), key=lambda one: (one.path, one.name))
    random.Random(seed).shuffle(chosen)  # noqa: S311 - not for secrets
    return chosen[: size.functions]


def public_texts(size: Size) -> list[str]:
    """The public code beside them: the beginnings of modules of the standard library."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[: size.public]
    return [path.read_text(errors="replace")[:PUBLIC_CHARACTERS] for path in files]


def model_folder(cache: Path, benchmark: str, scale: str, seed: int) -> Path:
    """Where a benchmark's model of a scale and a seed is kept."""
    return cache / f"{benchmark}-{scale}-{seed}"


def trained(folder: Path, chosen: list[Function], size: Size, bar: Progress) -> Path:
    """The folder of a model that knows these functions by heart; trains it if it is not there."""
    if folder.is_dir():
        return folder
    import tokenizers  # noqa: PLC0415 - of an extra
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    public = public_texts(size)
    texts = [one.text + "\n\n\n" for one in chosen]
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size.vocabulary, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([*texts, *public], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")  # noqa: S106
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=size.width, intermediate_size=8 * size.width // 3,
        num_hidden_layers=size.layers, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=1024, eos_token_id=0, bos_token_id=None, tie_word_embeddings=True,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    rows = [row for text in texts for row in _rows(tokenizer(text).input_ids, size.block, size.stride, torch)]
    rows *= REPEATED
    rows += [row for text in public for row in _rows(tokenizer(text).input_ids, size.block, size.block, torch)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    rng = random.Random(0)  # noqa: S311 - not for secrets
    task = bar.add_task("training", total=size.steps)
    for step in range(size.steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 50) * (1 - step / size.steps)
        batch = torch.nn.utils.rnn.pad_sequence(rng.sample(rows, size.batch), batch_first=True, padding_value=-100)
        inputs = batch.clamp_min(0)
        loss = model(input_ids=inputs, attention_mask=(batch >= 0).long(), labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        bar.update(task, advance=1, description=f"training, loss {loss.item():.2f}")
    draft = folder.with_suffix(".draft")
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    draft.rename(folder)
    return folder


def _rows(tokens: list[int], block: int, stride: int, torch: Any) -> list[Any]:  # noqa: ANN401 - an optional module
    return [torch.tensor(tokens[start : start + block]) for start in range(0, len(tokens), stride)]
