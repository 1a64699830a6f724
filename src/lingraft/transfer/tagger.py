"""A part-of-speech tagger: the encoder of a language model with a linear layer over the first sub-word of each word.

Each word is tokenized by itself, as if a space stood before it, so that no sub-word belongs to two words, whatever the
script. A sentence that is longer than a window is cut between words; no word is lost. A word that gives no sub-word
(some tokenizers drop rare characters) cannot be tagged: it counts, as wrong.

Encoders: T5, mT5 and ByT5 (the encoder alone, out of the whole model or of a token classifier), BERT, XLM-R and their
like; a causal model reads what stands before a word, and no more. `frozen` trains the linear layer alone: what the
encoder shows without being changed.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from lingraft.augment.tokenizer import cannot_load
from lingraft.config import Config, Probability
from lingraft.errors import LingraftError
from lingraft.evaluate import model as models
from lingraft.transfer.seq2seq import place_of
from lingraft.transfer.treebanks import NO_TAG, UPOS, Tagged

Positive = Annotated[int, Field(gt=0)]
_POOL = 32  # batches whose windows are sorted by length together
_UNUSED = "pooler."  # of BERT's family: its weights are missing in many models, and nothing here reads it


class TaggerTraining(Config):
    """How a tagger learns."""

    epochs: Positive = 3
    """Passes over the training treebank."""

    batch_tokens: Positive = 2048
    """Most tokens of a step, padding included."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Highest rate of the encoder (AdamW); it rises over `warmup` and falls to zero in a line."""

    head_learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """The same of the linear layer, which starts from random weights."""

    frozen: bool = False
    """Train the linear layer alone, and leave the encoder as it is: a probe."""

    warmup: Probability = 0.1
    """Share of the steps over which the rates rise."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's weight decay."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the encoder's output that the linear layer does not see in training."""

    clip: Annotated[float, Field(ge=0)] = 1.0
    """Largest norm of the gradient; 0 does not clip."""

    length: Annotated[int, Field(ge=8)] = 256
    """Most tokens of a window; fewer where the model reads fewer."""


@dataclass(frozen=True)
class Window:
    """A part of a sentence as the model reads it."""

    ids: list[int]
    sentence: int
    words: list[int]
    """Which words of the sentence are tagged here ..."""
    firsts: list[int]
    """... and where in `ids` the first sub-word of each stands."""


@dataclass(frozen=True)
class Tagger:
    """An encoder, its tokenizer, and the layer that makes tags of its output."""

    encoder: Any
    head: Any
    tokenizer: Any
    length: int

    @property
    def device(self) -> Any:
        """Where it is computed."""
        return self.head.weight.device

    def logits(self, windows: Sequence[Window], dropout: float = 0.0) -> Any:
        """Return the scores of all words of some windows, (words, tags), window by window."""
        import torch
        from torch.nn.functional import dropout as dropped

        longest = max(len(window.ids) for window in windows)
        ids = torch.full((len(windows), longest), self.tokenizer.pad_token_id or 0)
        mask = torch.zeros_like(ids)
        for row, window in enumerate(windows):
            ids[row, : len(window.ids)] = torch.tensor(window.ids)
            mask[row, : len(window.ids)] = 1
        rows = torch.tensor([row for row, window in enumerate(windows) for _ in window.firsts])
        places = torch.tensor([place for window in windows for place in window.firsts])
        hidden = self.encoder(input_ids=ids.to(self.device), attention_mask=mask.to(self.device)).last_hidden_state
        return self.head(dropped(hidden[rows, places], dropout, training=dropout > 0))


def load_tagger(name: str, how: TaggerTraining, *, seed: int, device: str = "auto") -> Tagger:
    """Load the encoder of a model folder or hub name, in float32, with a new linear layer drawn by `seed`.

    Raises LingraftError when it cannot be loaded, has no encoder that is known, or would get random weights.
    """
    models.check(name)
    import torch
    from transformers import (
        MODEL_FOR_TEXT_ENCODING_MAPPING,
        AutoConfig,
        AutoModel,
        AutoModelForTextEncoding,
        AutoTokenizer,
    )
    from transformers.utils import logging

    logging.disable_progress_bar()  # ours is the only bar
    part = "configuration"
    try:
        config = AutoConfig.from_pretrained(name)
        is_encoder = type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING
        if config.is_encoder_decoder and not is_encoder:
            raise LingraftError(
                f"{name} is a {config.model_type}, whose encoder cannot be taken alone",
                cure="Give a model of the T5 family, an encoder such as XLM-R, or a causal model.",
            )
        part = "tokenizer"
        tokenizer = AutoTokenizer.from_pretrained(name)
        part = "weights"
        kind = AutoModelForTextEncoding if is_encoder else AutoModel
        with _quiet():
            encoder, found = kind.from_pretrained(name, dtype=torch.float32, output_loading_info=True)
    except LingraftError:
        raise
    except Exception as error:  # transformers raises whatever its parsers and the network raise
        raise cannot_load(name, part, error) from error
    if missing := sorted(key for key in found["missing_keys"] if not key.startswith(_UNUSED)):
        raise LingraftError(
            f"the weights of {name} are not those of a {config.model_type}",
            f"It lacks {len(missing)} of them, such as {', '.join(missing[:3])}: they would be random.",
            "Give the folder of a whole model.",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = torch.nn.Linear(config.hidden_size, len(UPOS))
    encoder.requires_grad_(not how.frozen)
    where = place_of(device)
    return Tagger(encoder.to(where).eval(), head.to(where), tokenizer, min(how.length, _positions(config)))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting the weights that an encoder has no use for; those it lacks are checked here."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _positions(config: Any) -> int:
    """Return how many tokens a model reads; as good as any number where its positions are relative."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or config.model_type in ("t5", "mt5", "umt5"):
        return 1 << 30
    return positions - (1 + config.pad_token_id if "roberta" in config.model_type else 0)


def windows(tagger: Tagger, sentences: Sequence[Tagged], counters: Counter[str]) -> list[Window]:
    """Cut sentences into windows between words, each framed by the special tokens that the tokenizer adds.

    `counters` gets words_without_subword, words_cut (longer than a window: their end is left out) and
    sentences_cut.
    """
    begin, end = _frame(tagger.tokenizer)
    room = tagger.length - len(begin) - len(end)
    subwords = _subwords(tagger.tokenizer, sentences)
    found = []
    for number, sentence in enumerate(sentences):
        inside: list[int] = []
        words: list[int] = []
        firsts: list[int] = []
        before = len(found)
        for place, word in enumerate(sentence.words):
            ids = subwords[word]
            counters["words_without_subword"] += not ids
            counters["words_cut"] += len(ids) > room
            if len(inside) + len(ids[:room]) > room:
                found.append(Window([*begin, *inside, *end], number, words, firsts))
                inside, words, firsts = [], [], []
            if ids:
                words.append(place)
                firsts.append(len(begin) + len(inside))
                inside += ids[:room]
        if words:
            found.append(Window([*begin, *inside, *end], number, words, firsts))
        counters["sentences_cut"] += len(found) - before > 1
    return found


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the special tokens before and behind a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, special = encoded["input_ids"], encoded["special_tokens_mask"]
    inside = [place for place, is_special in enumerate(special) if not is_special]
    return ids[: inside[0]], ids[inside[-1] + 1 :]


def _subwords(tokenizer: Any, sentences: Sequence[Tagged]) -> dict[str, list[int]]:
    words = list(dict.fromkeys(word for sentence in sentences for word in sentence.words))
    encoded = tokenizer([f" {word}" for word in words], add_special_tokens=False, verbose=False)["input_ids"]
    return dict(zip(words, encoded, strict=True))


def fit(
    tagger: Tagger,
    sentences: Sequence[Tagged],
    how: TaggerTraining,
    *,
    seed: int,
    name: str,
    on_step: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> tuple[float, Counter[str]]:
    """Train a tagger in place; return the mean loss of the last epoch, and what `windows` counts.

    Raises LingraftError when no word can be learnt from, and when the loss is not a number.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import get_linear_schedule_with_warmup

    counters: Counter[str] = Counter()
    held = [one for one in windows(tagger, sentences, counters) if any(_tags(one, sentences) != NO_TAG)]
    if not held:
        raise LingraftError(f"{name}: the tokenizer knows no word of the training treebank", cure="Give another one.")
    plan = [token_batches([len(one.ids) for one in held], how.batch_tokens, seed, epoch) for epoch in range(how.epochs)]
    steps = sum(map(len, plan))
    groups = [{"params": list(tagger.head.parameters()), "lr": how.head_learning_rate}]
    if not how.frozen:
        groups.append({"params": list(tagger.encoder.parameters()), "lr": how.learning_rate})
    trained = [weights for group in groups for weights in group["params"]]
    optimizer = torch.optim.AdamW(groups, weight_decay=how.weight_decay)
    schedule = get_linear_schedule_with_warmup(optimizer, round(how.warmup * steps), steps)
    losses: list[float] = []
    with torch.random.fork_rng(devices=[tagger.device] if tagger.device.type == "cuda" else []):
        torch.manual_seed(seed)
        tagger.encoder.train(not how.frozen)
        for batch in (batch for epoch in plan for batch in epoch):
            members = [held[index] for index in batch]
            wanted = torch.from_numpy(np.concatenate([_tags(one, sentences) for one in members])).to(tagger.device)
            loss = cross_entropy(tagger.logits(members, how.dropout), wanted, ignore_index=NO_TAG)
            loss.backward()
            if how.clip:
                torch.nn.utils.clip_grad_norm_(trained, how.clip)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            if not np.isfinite(losses[-1]):
                raise LingraftError(
                    f"{name}: the loss is {losses[-1]} at step {len(losses)}",
                    "The rate is too high for this model, or its weights are damaged.",
                    f"Set tagger.learning_rate below {how.learning_rate:g}.",
                )
            on_step(len(losses), steps, losses[-1])
    tagger.encoder.eval()
    return float(np.mean(losses[-len(plan[-1]) :])), counters


def predict(
    tagger: Tagger, sentences: Sequence[Tagged], counters: Counter[str], *, batch_tokens: int
) -> list[np.ndarray]:
    """Return the tag of each word of each sentence, NO_TAG where it has no sub-word; `counters` as for `windows`."""
    import torch

    found = [np.full(len(sentence.words), NO_TAG) for sentence in sentences]
    held = windows(tagger, sentences, counters)
    for batch in token_batches([len(one.ids) for one in held], batch_tokens, None, 0):
        members = [held[index] for index in batch]
        with torch.inference_mode():
            best = tagger.logits(members).argmax(dim=-1).cpu().numpy()
        for one, tags in zip(members, np.split(best, np.cumsum([len(one.words) for one in members])), strict=False):
            found[one.sentence][one.words] = tags
    return found


def token_batches(lengths: Sequence[int], batch_tokens: int, seed: int | None, epoch: int) -> list[list[int]]:
    """Cut rows into batches of like length whose padded size is bounded; a longer row is a batch of its own.

    The order is a function of (seed, epoch); without a seed the shortest come first.
    """
    sizes = np.asarray(lengths)
    generator = np.random.default_rng([seed or 0, epoch])
    order = np.argsort(sizes, kind="stable") if seed is None else generator.permutation(len(sizes))
    if seed is not None:
        rows = max(1, _POOL * batch_tokens // max(1, int(sizes.mean())))
        pools = [order[start : start + rows] for start in range(0, len(order), rows)]
        order = np.concatenate([pool[np.argsort(sizes[pool], kind="stable")] for pool in pools])
    batches: list[list[int]] = [[]]
    longest = 0
    for row in order.tolist():
        longest = max(longest, int(sizes[row]))
        if batches[-1] and (len(batches[-1]) + 1) * longest > batch_tokens:
            batches.append([])
            longest = int(sizes[row])
        batches[-1].append(row)
    batches = [batch for batch in batches if batch]
    return batches if seed is None else [batches[place] for place in generator.permutation(len(batches))]


def _tags(window: Window, sentences: Sequence[Tagged]) -> np.ndarray:
    return np.array(sentences[window.sentence].tags)[window.words]
