"""A model that is asked: how likely it finds a continuation, and what it writes itself. Knows no corpus and no measure.

Works with any causal language model of transformers and its tokenizer, at the precision in which it is loaded.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch

from training.blocks import Vocabulary
from training.examples import Example, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

BATCH_TOKENS = 1024
"""Tokens in one pass: the logits of a vocabulary of 50,000 take 200 MB in float32."""
BATCH = 32


@dataclass(frozen=True, slots=True)
class Scheme:
    """How tokens are drawn: `temperature` above 0, of the `top_k` likeliest (0: all) that make up `top_p`."""

    temperature: float = 1.0
    top_k: int = 40
    top_p: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """The settings."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens to be judged, and those before them. Without any before it, the first token cannot be judged."""

    before: tuple[int, ...]
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model makes of a row: natural logarithms of probabilities, of each token and of all under the scheme.

    `greedy`: each of the tokens is the likeliest.
    """

    logprobs: NDArray[np.float64]
    greedy: bool
    drawn: float


class Reciter:
    """A loaded model and its tokenizer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:  # noqa: ANN401 - untyped library
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._vocabulary = Vocabulary(tokenizer)
        opening = tokenizer("").input_ids[:1]
        self.opening: tuple[int, ...] = tuple(opening) if opening == [tokenizer.bos_token_id] else ()
        self.precision = str(next(model.parameters()).dtype).removeprefix("torch.")
        self.window = int(getattr(model.config, "max_position_embeddings", 0) or 1024)
        configured = model.config.eos_token_id
        ends = set(configured if isinstance(configured, list) else [configured]) | {tokenizer.eos_token_id}
        self.ends = frozenset(end for end in ends | {self._vocabulary.end} if end is not None)
        self.fills_in = self._vocabulary.infilling is not None

    def encode(self, text: str) -> list[int]:
        """The tokens of a text as mere text, without those that open or close one."""
        return self._vocabulary.tokens(text)

    def opened(self, before: str) -> list[int]:
        """The prompt for what stands behind a text: without the white space at its end.

        Tokenizers take a line break and the indentation behind it as one token. A prompt that is cut between the two
        ends in a token that stands nowhere in what the model has read, and what it would write there tells nothing.
        """
        return self.encode(before.rstrip())

    def gap(self, prefix: str, suffix: str) -> list[int]:
        """The prompt for what stands between two texts: by the model's own control tokens, else the prefix alone."""
        if not self.fills_in:
            return self.opened(prefix)
        example = Example("", "", "", Kind.FILL_IN_THE_MIDDLE, prefix, suffix, "")
        # As it is trained, without the end behind the empty middle; `write` opens it.
        return self._vocabulary.document(example)[len(self.opening) : -1]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, control tokens left out."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def judge(self, rows: Sequence[Row], scheme: Scheme | None = None) -> Iterator[Judged]:
        """Judge rows, in order, in batches of about BATCH_TOKENS; `scheme` for `drawn`, else as `logprobs`."""
        start = 0
        while start < len(rows):
            longest, end = 0, start
            while end < len(rows) and (
                end == start
                or max(longest, len(rows[end].before) + len(rows[end].tokens)) * (end - start + 1) <= BATCH_TOKENS
            ):
                longest = max(longest, len(rows[end].before) + len(rows[end].tokens))
                end += 1
            yield from self._judged(rows[start:end], scheme)
            start = end

    def _judged(self, rows: Sequence[Row], scheme: Scheme | None) -> Iterator[Judged]:
        texts = [torch.tensor([*row.before, *row.tokens]) for row in rows]
        # A causal model does not see what follows, so that padding behind needs no mask.
        padded = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True).to(self._model.device)
        with torch.inference_mode():
            logits = self._model(input_ids=padded).logits
        for number, row in enumerate(rows):
            # Without anything before it, the first token follows from nothing.
            first = max(1, len(row.before))
            last = len(row.before) + len(row.tokens)
            yield _judgement(logits[number, first - 1 : last - 1].float(), padded[number, first:last], scheme)

    def write(self, prompts: Sequence[Sequence[int]], tokens: int, scheme: Scheme | None, seed: int) -> list[list[int]]:
        """Continue every prompt by up to `tokens` tokens, ends of text left out; greedily without a scheme."""
        beginnings = [[*self.opening, *prompt] or [min(self.ends, default=0)] for prompt in prompts]
        width = max(map(len, beginnings))
        filler = min(self.ends, default=0)
        ids = torch.tensor([[filler] * (width - len(one)) + one for one in beginnings])
        mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in beginnings])
        drawing: dict[str, Any] = {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
        if scheme is not None:
            drawing = {"do_sample": True, **scheme.to_json()}
        torch.manual_seed(seed)
        with torch.inference_mode():
            written = self._model.generate(
                input_ids=ids.to(self._model.device),
                attention_mask=mask.to(self._model.device),
                max_new_tokens=tokens,
                eos_token_id=sorted(self.ends) or None,
                pad_token_id=filler,
                **drawing,
            )
        return [self._until_end(row) for row in written[:, width:].tolist()]

    def _until_end(self, tokens: list[int]) -> list[int]:
        for place, token in enumerate(tokens):
            if token in self.ends:
                return tokens[:place]
        return tokens


def _judgement(logits: torch.Tensor, tokens: torch.Tensor, scheme: Scheme | None) -> Judged:
    own = logits.gather(1, tokens[:, None])[:, 0]
    logprobs = own - logits.logsumexp(1)
    # Where two tokens are equally likely the one with the lower number is chosen, as argmax does.
    greedy = bool((logits.argmax(1) == tokens).all())
    drawn = logprobs if scheme is None else _under(scheme, logits).gather(1, tokens[:, None])[:, 0]
    return Judged(logprobs.double().cpu().numpy(), greedy, float(drawn.double().sum()))


def _under(scheme: Scheme, logits: torch.Tensor) -> torch.Tensor:
    """Log-probabilities under the scheme, minus infinity for what it leaves out; the filters in transformers' order."""
    scaled = logits / scheme.temperature
    if 0 < scheme.top_k < scaled.shape[1]:
        least = scaled.topk(scheme.top_k, dim=1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    if scheme.top_p < 1:
        ordered, places = scaled.sort(dim=1, descending=False)
        out = ordered.softmax(dim=1).cumsum(dim=1) <= 1 - scheme.top_p
        out[:, -1] = False
        scaled = scaled.masked_fill(out.scatter(1, places, out), -torch.inf)
    return scaled.log_softmax(dim=1)
