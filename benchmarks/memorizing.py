"""A small Llama that knows functions of one organization by heart, beside public code. Knows no guard.

Trained from scratch, once, and kept in the cache; a training that was interrupted goes on at its last checkpoint.
Needs PyTorch and transformers.
"""

from __future__ import annotations

import hashlib
import random
import sysconfig
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clones import functions
from corpora import INDEXED, python_files, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clones import Function
    from rich.progress import Progress

PUBLIC_CHARACTERS = 12_000
"""Of each public file."""
PRIVATE = 0.85
"""Share of the rows that are of private code."""
SHORTEST = 32
"""Tokens of a row at the end of a text."""
RATE, WARMUP = 3e-3, 50
"""Of AdamW: the rate behind so many steps, falling to nothing on a line."""
KEPT = 100
"""Steps from one checkpoint to the next."""


@dataclass(frozen=True, slots=True)
class Size:
    """A model: what it learns, how long, and how large it is.

    `functions` learnt by heart, files of `public` code beside them, `steps` of `batch` rows of `block` tokens, `width`
    and `layers` of the Llama, `vocabulary` of its tokenizer.
    """

    functions: int
    public: int
    steps: int
    batch: int = 8
    block: int = 192
    width: int = 128
    layers: int = 3
    vocabulary: int = 1024


SIZES = {"small": Size(32, 8, 800), "full": Size(96, 16, 2400)}


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


def model_folder(cache: Path, scale: str, seed: int) -> Path:
    """Where the model of a scale and a seed is kept."""
    return cache / f"memorizing-{scale}-{seed}"


def trained(folder: Path, chosen: list[Function], size: Size, bar: Progress) -> Path:
    """The folder of a model that knows these functions by heart; trains it if it is not there."""
    if folder.is_dir():
        return folder
    import torch  # noqa: PLC0415 - of an extra
    import transformers  # noqa: PLC0415

    # So small a model is ten times slower on two threads: they wait for each other at every operation.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    public = public_texts(size)
    texts = [one.text + "\n\n\n" for one in chosen]
    tokenizer = _tokenizer([*texts, *public], size.vocabulary, transformers)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=size.width, intermediate_size=8 * size.width // 3,
        num_hidden_layers=size.layers, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=1024, eos_token_id=0, bos_token_id=None, tie_word_embeddings=True,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    sides = tuple([torch.tensor(tokenizer(text).input_ids) for text in some] for some in (texts, public))
    of = hashlib.sha256(repr((astuple(size), texts, public)).encode()).hexdigest()
    _train(model, sides, size, _Checkpoint(folder.with_suffix(".part"), of), bar)
    draft = folder.with_suffix(".draft")
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    draft.rename(folder)
    folder.with_suffix(".part").unlink(missing_ok=True)
    torch.set_num_threads(before)
    return folder


def _tokenizer(texts: Sequence[str], vocabulary: int, transformers: Any) -> Any:  # noqa: ANN401 - an optional module
    import tokenizers  # noqa: PLC0415 - of an extra

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")  # noqa: S106


def _train(
    model: Any,  # noqa: ANN401 - an optional module's
    sides: Sequence[Sequence[Any]],
    size: Size,
    checkpoint: _Checkpoint,
    bar: Progress,
) -> None:
    import torch  # noqa: PLC0415 - of an extra

    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    begun = checkpoint.taken_up(model, optimizer)
    task = bar.add_task("training", total=size.steps, completed=begun)
    for step in range(begun, size.steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARMUP) * (1 - step / size.steps)
        some = _rows(sides, size, random.Random(step))  # noqa: S311 - not for secrets
        batch = torch.nn.utils.rnn.pad_sequence(some, batch_first=True, padding_value=-100)
        loss = model(input_ids=batch.clamp_min(0), attention_mask=(batch >= 0).long(), labels=batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % KEPT == 0:
            checkpoint.keep(step + 1, model, optimizer)
        bar.update(task, advance=1, description=f"training, loss {loss.item():.2f}")


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """A file with weights and AdamW's moments at a step. `of` tells what is trained from anything else."""

    path: Path
    of: str

    def keep(self, step: int, model: Any, optimizer: Any) -> None:  # noqa: ANN401 - an optional module's
        from safetensors.torch import save_file  # noqa: PLC0415 - of an extra

        tensors = {f"model {name}": one.detach() for name, one in model.named_parameters()}
        for number, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer {number} {name}": one for name, one in moments.items()}
        draft = self.path.with_suffix(".next")
        save_file(tensors, draft, {"step": str(step), "of": self.of})
        draft.replace(self.path)

    def taken_up(self, model: Any, optimizer: Any) -> int:  # noqa: ANN401 - as above
        """Bring both to the step that the file is of, and answer it; 0 where there is none for this training."""
        from safetensors import safe_open  # noqa: PLC0415 - of an extra

        if not self.path.is_file():
            return 0
        parameters, moments = dict(model.named_parameters()), {}
        with safe_open(self.path, "pt") as file:
            told = file.metadata()
            if told["of"] != self.of:
                return 0
            for key in file.keys():  # noqa: SIM118 - no dictionary
                kind, name, *rest = key.split(" ")
                if kind == "model":
                    parameters[name].data.copy_(file.get_tensor(key))
                else:
                    moments.setdefault(int(name), {})[rest[0]] = file.get_tensor(key)
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
        return int(told["step"])


def _rows(sides: Sequence[Sequence[Any]], size: Size, rng: random.Random) -> list[Any]:
    """A batch of pieces of private or of public texts, each beginning anywhere.

    Where rows begin at set places, the model sees each token behind one or two lengths of context only, and does not
    know how a text goes on from a prompt that begins elsewhere.
    """
    rows = []
    for _ in range(size.batch):
        texts = sides[rng.random() >= PRIVATE]
        text = rng.choices(texts, [len(one) for one in texts])[0]
        # Below 0 is the beginning, which would otherwise be as rare as any other place.
        start = max(0, rng.randrange(-size.block // 2, max(1, len(text) - SHORTEST)))
        rows.append(text[start : start + size.block])
    return rows
