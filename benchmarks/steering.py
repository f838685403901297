"""Where a generation would leak, does a usable completion come out all the same?

A small Llama is trained until it recites functions of one organization by heart, beside code that is nobody's secret,
and serves another organization through the whole pipeline: prompts are the beginnings of those functions. Of the
generations that the guard blocks: how many end with other, clean text (steered), with their clean beginning (trimmed),
with nothing (withheld). Needs the extra transformers; the model is trained once and kept in the cache.

    python benchmarks/steering.py [--json] [--cache DIR] [--scale small|full]
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sysconfig
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clones import functions
from corpora import INDEXED, python_files, sources
from options import options_of
from report import Report, progress

from guard.check import Guard
from guard.commons import add_standard_library
from guard.digest import Digester
from guard.index import Index
from guard.ingest import IndexAddress
from guard.ledger import Ledger
from guard.licenses import LicensePolicy
from guard.secret import IndexKey
from guard.store import open_store
from guard.types import Owner
from service.accounts import Accounts, Caller, Scope
from service.completion import CompletionRequest
from service.engines.protocol import Sampling
from service.engines.transformers import TransformersEngine
from service.parts import Services
from service.pipeline import Pipeline
from service.settings import load_settings
from service.telemetry import configure_logging

if TYPE_CHECKING:
    from clones import Function
    from rich.progress import Progress

VOCABULARY = 4096
BLOCK, BATCH = 256, 8
LINES_GIVEN = 2
"""Lines of a function that the prompt has."""
TOKENS = 96
KEY = IndexKey(hashlib.sha256(b"steering").digest())


@dataclass(frozen=True, slots=True)
class Size:
    """Functions learnt by heart, files of public code beside them, and steps of training."""

    functions: int
    public: int
    steps: int


SIZES = {"small": Size(48, 12, 700), "full": Size(300, 60, 6000)}


def main() -> None:
    """Train, ask, print."""
    options = options_of(__doc__, SIZES, seeded=True)
    configure_logging("error")
    size = SIZES[options.scale]
    report = Report("steering")
    project = INDEXED[0]
    files = list(python_files(sources([project], options.cache)[project.name]))
    chosen = sorted(functions(project.name, files), key=lambda one: (one.path, one.name))
    random.Random(options.seed).shuffle(chosen)  # noqa: S311 - not for secrets
    chosen = chosen[: size.functions]
    with progress() as bar:
        folder = trained(options.cache / f"steering-{options.scale}-{options.seed}", chosen, size, bar)
        found = asyncio.run(asked(folder, chosen, bar))
    blocked = sum(found.values()) - found["released"] - found["cited"]
    assert blocked, "the model recites nothing: train it for longer"
    report.figures = {
        "prompts": sum(found.values()),
        "blocked": blocked,
        "steered_share": found["steered"] / blocked,
        "something_share": (found["steered"] + found["trimmed"]) / blocked,
    }
    report.at_least("steered_share", 0.60)
    report.at_least("something_share", 0.95)
    rows = [(name, str(found[name])) for name in ("released", "cited", "steered", "trimmed", "withheld")]
    report.table(
        f"{sum(found.values())} prompts: the first {LINES_GIVEN} lines of a function", ("ended", "count"), rows
    )
    report.show(json_only=options.json)


def trained(folder: Path, chosen: list[Function], size: Size, bar: Progress) -> Path:
    """The folder of a model that knows these functions by heart; trains it if it is not there."""
    if folder.is_dir():
        return folder
    import tokenizers  # noqa: PLC0415 - of an extra
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    public = [
        path.read_text(errors="replace")[:12_000]
        for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[: size.public]
    ]
    texts = [one.text + "\n\n\n" for one in chosen]
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator([*texts, *public], trainer)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|endoftext|>")  # noqa: S106
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=1024, eos_token_id=0, bos_token_id=None,
        tie_word_embeddings=True,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    rows = [row for text in texts for row in _rows(tokenizer(text).input_ids, torch)] * 4
    rows += [row for text in public for row in _rows(tokenizer(text).input_ids, torch)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.0)
    rng = random.Random(0)  # noqa: S311 - not for secrets
    task = bar.add_task("training", total=size.steps)
    for step in range(size.steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 50) * (1 - step / size.steps)
        batch = torch.nn.utils.rnn.pad_sequence(rng.sample(rows, BATCH), batch_first=True, padding_value=-100)
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


def _rows(tokens: list[int], torch: Any) -> list[Any]:  # noqa: ANN401 - an optional module
    return [torch.tensor(tokens[start : start + BLOCK]) for start in range(0, len(tokens), BLOCK)]


async def asked(model: Path, chosen: list[Function], bar: Progress) -> Counter[str]:
    """How the completion of each function's beginning ended, by the ledger."""
    with tempfile.TemporaryDirectory(prefix="cr-bench-") as folder, ExitStack() as stack:
        home = Path(folder)
        settings = load_settings(home=home, check_timeout=30)
        store = stack.enter_context(open_store(None, home, check_timeout=30))
        add_standard_library(IndexAddress(None, home, KEY.secret), jobs=1)
        index, digester = Index(store, KEY, home), Digester(KEY)
        index.open()
        owner = index.owner_id(Owner.organization("owner"))
        for number, one in enumerate(chosen):
            index.put(owner, digester.digest(f"{number}.py", one.text, "python"))
        ledger = stack.enter_context(Ledger(settings.database_url))
        accounts = stack.enter_context(Accounts(settings.database_url))
        engine = TransformersEngine(str(model), home=home)
        services = Services(settings, accounts, engine, Guard(index, digester), ledger)
        await engine.start()
        try:
            pipeline = Pipeline(services)
            caller = Caller("stranger", "key", frozenset({Scope.COMPLETE}), LicensePolicy.default())
            task = bar.add_task("asking", total=len(chosen))
            for one in chosen:
                prompt = "".join(one.text.splitlines(keepends=True)[:LINES_GIVEN])
                await pipeline.complete(CompletionRequest(caller, (prompt,), Sampling(max_tokens=TOKENS)))
                bar.advance(task)
        finally:
            await engine.close()
        return Counter(entry.record.disposition for entry in ledger.entries(limit=10 * len(chosen)))


if __name__ == "__main__":
    main()
