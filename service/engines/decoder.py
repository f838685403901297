"""Draws tokens from a causal language model of transformers, one after the other. Knows no text and no event loop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from service.engines.slots import common_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from service.engines.protocol import Sampling

# Tokens of a prompt that are read in one go; a cancelled generation ends between two.
PROMPT_BATCH = 128


class Decoder:
    """One generation at a time, with the attention cache of the last one kept for the next keystroke.

    Not safe for several threads at once.
    """

    def __init__(self, torch: Any, transformers: Any, model: Any) -> None:  # noqa: ANN401 - optional, untyped here
        self._torch = torch
        self._transformers = transformers
        self._model = model
        self._cache: Any = None
        self._cached: list[int] = []
        self._cache_key: str | None = None

    def draw(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        cache_key: str,
        cancelled: Callable[[], bool],
        excluded: Collection[int] = (),
    ) -> Iterator[tuple[int, float]]:
        """Tokens after `prompt`, the first of them none of `excluded`, without end: the caller stops.

        With each comes the natural logarithm of its probability among those that might have come, at temperature 1; 0
        where `sampling` asks for none. Ends early once `cancelled()` is true.
        """
        generator = self._torch.Generator()
        if sampling.seed is not None:
            generator.manual_seed(sampling.seed)
        else:
            generator.seed()
        self._prepare(prompt, cache_key)
        unread = list(prompt[len(self._cached) :])
        while True:
            for start in range(0, len(unread), PROMPT_BATCH):
                if cancelled():
                    return
                logits = self._read(unread[start : start + PROMPT_BATCH])
            if excluded:
                logits = logits.index_fill(0, self._torch.tensor(sorted(excluded)), -math.inf)
                excluded = ()
            token = self._sample(logits, sampling, generator)
            yield token, 0.0 if sampling.logprobs is None else float(logits.log_softmax(0)[token])
            unread = [token]

    def _prepare(self, prompt: Sequence[int], cache_key: str) -> None:
        """Keep as much of the cache as begins `prompt`, short of its last token, or start a new one."""
        shared = min(common_prefix(self._cached, prompt), len(prompt) - 1)
        surplus = len(self._cached) - shared
        if self._cache is None or self._cache_key != cache_key or not shared or (surplus and not self._can_crop()):
            self._cache = self._transformers.DynamicCache(config=self._model.config)
            self._cached, self._cache_key = [], cache_key
        elif surplus:
            self._cache.crop(-surplus)
            del self._cached[shared:]

    def _can_crop(self) -> bool:
        """Whether the cache still has every token: sliding windows forget the oldest."""
        return not any(self._cache.is_sliding)

    def _read(self, tokens: list[int]) -> Any:  # noqa: ANN401 - a tensor of shape (vocabulary,)
        cache, self._cache = self._cache, None
        with self._torch.inference_mode():
            ids = self._torch.tensor([tokens], device=self._model.device)
            output = self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        # Only a cache that was read to the end is put back: after an error its state would be unknown.
        self._cache = output.past_key_values
        self._cached.extend(tokens)
        return output.logits[0, -1].float().cpu()

    def _sample(self, logits: Any, sampling: Sampling, generator: Any) -> int:  # noqa: ANN401 - tensors
        """Greedy at temperature 0, else nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751, section 3.1)."""
        if sampling.temperature <= 0:
            return int(logits.argmax())
        probabilities, order = self._torch.softmax(logits / sampling.temperature, 0).sort(descending=True)
        # The nucleus: the fewest likeliest tokens that together reach top_p, at least one.
        outside = probabilities.cumsum(0) - probabilities >= sampling.top_p
        outside[0] = False
        probabilities[outside] = 0.0
        drawn = self._torch.multinomial(probabilities, 1, generator=generator)
        return int(order[drawn])
