"""Runs a hub or local model with Hugging Face transformers on a thread of its own. Knows no guard and no caller."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from published.infilling import END_TOKENS
from published.spellings import control_names, cut, spellings
from service.engines.decoder import Decoder
from service.engines.detokenizer import Detokenizer
from service.engines.families import family_of_vocabulary
from service.engines.optional import optional
from service.engines.packaged import packaged_model
from service.engines.processors import physical_cores
from service.engines.protocol import Chunk
from service.engines.stops import StopFilter
from service.engines.telling import Telling
from service.engines.weights import packaged_weights
from service.engines.window import require_room
from service.errors import EngineError, EngineUnavailableError, SetupError

if TYPE_CHECKING:
    import re
    from collections.abc import AsyncGenerator, Callable, Iterator

    from published.infilling import FillInTheMiddle
    from service.engines.protocol import EnginePrompt, ReleasedModel, Sampling

EMPTY_PROMPT = "\n"


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model with all that is needed to ask it.

    `beginning` opens every prompt, `ends` close a text, `spelled` finds names of control tokens.
    """

    decoder: Decoder
    tokenizer: Any
    vocabulary: dict[str, int]
    beginning: tuple[int, ...]
    ends: frozenset[int]
    window: int
    spelled: re.Pattern[str]


class TransformersEngine:
    """transformers over one model: one generation at a time, the others wait in the order of their asking."""

    name = "transformers"
    native_suffix = False
    steers = True
    capacity = 1
    tells_logprobs = True

    def __init__(
        self,
        model: str | None = None,
        *,
        home: Path,
        threads: int | None = None,
        context: int | None = None,
        fill_in_the_middle: str | None = None,
        released: ReleasedModel | None = None,
    ) -> None:
        """`model` is a local folder, a hub id or None for the packaged model, unpacked once under `home`/models.

        `released` is loaded in its place. `threads`, by default the number of physical cores, holds for all of torch in
        this process; `fill_in_the_middle` names a family where the vocabulary does not show the right one. Raises
        SetupError for a path that does not exist and for a missing packaged model.
        """
        self._released = released
        if released is not None:
            self.model, model = released.name, str(released.source)
        elif model is None:
            self.model = packaged_model().stem
        else:
            require_model(model)
            self.model = Path(model).name if Path(model).expanduser().is_dir() else model
        self._source = model
        self._home = home
        self._threads = threads or physical_cores()
        self._context = context
        self._loaded: LoadedModel | None = None
        self._worker: ThreadPoolExecutor | None = None
        self.context_window = context or 0
        self._family_name = fill_in_the_middle
        self.fill_in_the_middle: FillInTheMiddle | None = None
        self.opening_tokens = 0

    @property
    def models(self) -> tuple[str, ...]:
        """The one model that is loaded."""
        return (self.model,)

    async def start(self) -> None:
        """Load the model. Raises SetupError when the extra is missing or there is no such model."""
        if self._loaded is not None:
            return
        self._worker = ThreadPoolExecutor(1, "transformers")
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(self._worker, self._load)
            family = family_of_vocabulary(self._family_name, loaded.vocabulary.__contains__)
        except BaseException:
            await self.close()
            raise
        self.fill_in_the_middle = family
        self._loaded = loaded
        self.context_window = loaded.window
        self.opening_tokens = len(loaded.beginning)

    def _load(self) -> LoadedModel:
        torch, transformers = optional("torch", self.name), optional("transformers", self.name)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        torch.set_num_threads(self._threads)
        source = self._source or str(packaged_weights(self._home, torch, transformers))
        trappings = str(self._released.trappings or source) if self._released is not None else source
        # Without AMX or AVX512 bfloat16 takes seconds to the first token; float32 is fast on every processor.
        on_gpu = torch.cuda.is_available()
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(trappings)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                source,
                config=transformers.AutoConfig.from_pretrained(trappings),
                dtype="auto" if on_gpu else torch.float32,
                use_safetensors=True,
            )
            model = self._adapted(model)
        except Exception as error:  # the libraries' errors have no common kind
            message = (
                f"transformers cannot load the model {source!r} ({type(error).__name__}): name a folder or a hub id "
                "with a causal language model, its tokenizer and safetensors weights"
            )
            raise SetupError(message) from error
        model = model.to("cuda" if on_gpu else "cpu").eval()
        return self._describe(Decoder(torch, transformers, model), tokenizer, model.config)

    def _adapted(self, model: Any) -> Any:  # noqa: ANN401 - untyped library
        """The model with the released adapter merged into its weights, which costs nothing at every token."""
        if self._released is None or self._released.adapter is None:
            return model
        peft = optional("peft", "a released adapter")
        return peft.PeftModel.from_pretrained(model, str(self._released.adapter)).merge_and_unload()

    def _describe(self, decoder: Decoder, tokenizer: Any, config: Any) -> LoadedModel:  # noqa: ANN401 - untyped library
        vocabulary = tokenizer.get_vocab()
        ends = {vocabulary[name] for name in END_TOKENS if name in vocabulary}
        configured = config.eos_token_id
        ends.update(configured if isinstance(configured, list) else [configured])
        opening = tokenizer("").input_ids[:1]
        window = getattr(config, "max_position_embeddings", None) or self._context or 0
        return LoadedModel(
            decoder=decoder,
            tokenizer=tokenizer,
            vocabulary=vocabulary,
            beginning=tuple(opening) if opening == [tokenizer.bos_token_id] else (),
            ends=frozenset(end for end in ends if end is not None),
            window=min(window, self._context or window),
            spelled=spellings(control_names(tokenizer.get_added_vocab())),
        )

    async def close(self) -> None:
        """Let the running generation end at its next token, end the thread and free the model."""
        worker, self._worker, self._loaded = self._worker, None, None
        if worker is not None:
            await asyncio.to_thread(worker.shutdown, wait=True, cancel_futures=True)

    async def ready(self) -> None:
        """Raise EngineUnavailableError unless the model is loaded."""
        self._require_loaded()

    async def count_tokens(self, text: str) -> int:
        """Number of model tokens of `text`, in which no control token is recognized."""
        return len(_tokenize(self._require_loaded(), text))

    async def generate(self, prompt: EnginePrompt, sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        """Stream one generation; it waits while another one runs."""
        loaded = self._require_loaded()
        tokens = _prompt_tokens(loaded, prompt) + prompt.written
        require_room(len(tokens), sampling.max_tokens, self.context_window or len(tokens), self.model)
        chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()

        def work() -> None:
            for chunk in _chunks(loaded, tokens, prompt, sampling, self._cancelled(cancelled)):
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)

        future = loop.run_in_executor(self._worker, work)
        # However the work ends, even before it began, the consumer learns of it after the last chunk.
        future.add_done_callback(lambda _: chunks.put_nowait(None))
        try:
            while (chunk := await chunks.get()) is not None:
                yield chunk
                if chunk.finish_reason is not None:
                    return
            raise _failure(future)
        finally:
            cancelled.set()
            future.cancel()

    def _cancelled(self, event: threading.Event) -> Callable[[], bool]:
        return lambda: event.is_set() or self._loaded is None

    def _require_loaded(self) -> LoadedModel:
        if self._loaded is None:
            message = f"the model {self.model} is not loaded: start the engine first"
            raise EngineUnavailableError(message)
        return self._loaded


def _failure(future: asyncio.Future[None]) -> EngineError:
    """Why a generation ended without its last chunk."""
    error = None if future.cancelled() else future.exception()
    if error is None:
        return EngineUnavailableError("the engine was closed while it generated: start it again")
    message = f"transformers failed while generating ({type(error).__name__}): see the log of the service"
    failure = EngineError(message)
    failure.__cause__ = error
    return failure


def _chunks(
    loaded: LoadedModel,
    tokens: tuple[int, ...],
    prompt: EnginePrompt,
    sampling: Sampling,
    cancelled: Callable[[], bool],
) -> Iterator[Chunk]:
    """The generation as chunks; without a last one when it was cancelled. Blocks between them."""
    if sampling.max_tokens < 1:
        yield Chunk("", 0, "length", len(tokens))
        return
    detokenizer = Detokenizer(lambda ids: _text(loaded, ids), tokens)
    stops = StopFilter(sampling.stop)
    telling = Telling(asked=sampling.logprobs is not None)
    pending = 0
    since: list[int] = []
    drawing = loaded.decoder.draw(tokens, sampling, prompt.cache_key, cancelled, prompt.excluded)
    for drawn, (token, logprob) in enumerate(drawing, 1):
        pending += 1
        since.append(token)
        ended = token in loaded.ends
        text = stops.feed(telling.feed("" if ended else detokenizer.feed(token), 0.0 if ended else logprob))
        finished = ended or drawn >= sampling.max_tokens
        if finished and not stops.stopped:
            text += stops.feed(telling.feed(detokenizer.flush()))
            text += stops.flush()
        if finished or stops.stopped:
            reason: Literal["stop", "length"] = "stop" if ended or stops.stopped else "length"
            yield Chunk(text, pending, reason, len(tokens), logprobs=telling.take(text))
            return
        if text:
            whole = detokenizer.whole and stops.whole
            yield Chunk(text, pending, None, len(tokens), tuple(since) if whole else None, telling.take(text))
            pending = 0
            since = [] if whole else since


def _text(loaded: LoadedModel, tokens: object) -> str:
    text: str = loaded.tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text


def _prompt_tokens(loaded: LoadedModel, prompt: EnginePrompt) -> tuple[int, ...]:
    """The prompt as token numbers: control tokens by name, the caller's words tokenized as mere text."""
    tokens = list(loaded.beginning)
    for segment in prompt.segments:
        if segment.token is not None:
            tokens.append(loaded.vocabulary[segment.token])
        else:
            tokens.extend(_tokenize(loaded, segment.text))
    return tuple(tokens or _tokenize(loaded, EMPTY_PROMPT) or sorted(loaded.ends)[:1])


def _tokenize(loaded: LoadedModel, text: str) -> list[int]:
    ids: list[int] = []
    # `split_special_tokens` leaves added tokens alone that are not declared special, such as Qwen2.5-Coder's.
    for piece in cut(text, loaded.spelled) or [""]:
        encoded = loaded.tokenizer(piece, add_special_tokens=False, split_special_tokens=True, verbose=False)
        ids.extend(encoded.input_ids)
    return ids


def require_model(model: str) -> None:
    """Raise SetupError for what looks like a path and is not there, and for packed files."""
    path = Path(model).expanduser()
    if path.is_file():
        message = f"{model!r} is a file, which transformers cannot run as it is: name its folder, or use llamacpp"
        raise SetupError(message)
    if not path.is_dir() and (path.is_absolute() or model.startswith((".", "~"))):
        message = f"the model folder {model!r} does not exist: name a folder, a hub id, or none for the packaged model"
        raise SetupError(message)
