"""Cut the stream of articles into training sequences of one fixed length.

The stream is epoch 0, epoch 1, ... of all articles in a new order, each followed by the end-of-document token, and is
cut every `length` tokens (`wrapped`, as LEIA does): no padding, no token lost, but articles are split wherever a border
falls, and attention crosses from one document to the next. Sequence k is found by arithmetic: an epoch's plan is the
lengths of all articles after insertion, which follow from the draws without touching a token. So resuming needs no
state, and any number of loader workers or ranks sees the same sequences. A plan takes 16 bytes an article; each loader
worker makes its own.

    sequences = PackedSequences("out/el-encoded", Insertion(), 2048, 1000, eos_id=2, tag_ids=TagIds(8000, 8001), seed=0)
    sequences[7]["input_ids"]
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lingraft.augment.operators import Insertion, TagIds, draw, graft, labels_of, lengths_after, mixed
from lingraft.augment.store import EncodedCorpus
from lingraft.errors import LingraftError


@dataclass(frozen=True)
class _Plan:
    """One epoch: the articles in their order (shard and row), and where each ends in the epoch's stream."""

    shard: np.ndarray
    row: np.ndarray
    ends: np.ndarray


class PackedSequences:
    """A map-style dataset of `num_sequences` sequences of `length` tokens, for torch's DataLoader or without torch."""

    def __init__(
        self,
        encoded: str | Path,
        insertion: Insertion,
        length: int,
        num_sequences: int,
        *,
        eos_id: int,
        tag_ids: TagIds | tuple[int, int] | None = None,
        seed: int = 0,
    ):
        self.corpus = EncodedCorpus(encoded)
        self.insertion, self.length, self.num_sequences = insertion, length, num_sequences
        self.eos_id, self.seed = eos_id, seed
        if tag_ids is None and insertion.tags and insertion.operation != "none":
            raise LingraftError(
                "names are to stand between tags, but the tags have no token ids",
                cure="Give tag_ids, or set insertion.tags to false.",
            )
        self.tag_ids = TagIds(*(tag_ids or (-1, -1)))
        self._plans: dict[int, _Plan] = {}
        self._begins = [0]  # position in the stream at which each known epoch begins
        if not any(len(self.corpus.shard(index).ids) for index in range(len(self.corpus))):
            raise LingraftError(
                f"{encoded} holds no tokens",
                "The corpus that it was encoded from has no text.",
                "Check the corpus with: lingraft corpus stats",
            )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_plans": {}}

    def __len__(self) -> int:
        return self.num_sequences

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Return {"input_ids", "labels"}, each int64 of shape (length,). IndexError past the end."""
        if not 0 <= index < self.num_sequences:
            raise IndexError(f"sequence {index} of {self.num_sequences}")
        return self.sequence(index)

    def sequence(self, index: int) -> dict[str, np.ndarray]:
        """Return sequence `index` of the endless stream, whatever `num_sequences` is."""
        position, stop = index * self.length, (index + 1) * self.length
        parts = []
        while position < stop:
            epoch = self._epoch_at(position)
            begin, end = self._begins[epoch], self._begins[epoch + 1]
            parts.append(self._read(epoch, position - begin, min(stop, end) - begin))
            position = min(stop, end)
        ids, kinds = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return {"input_ids": ids, "labels": labels_of(ids, kinds, self.insertion)}

    def epochs(self, num_sequences: int | None = None) -> float:
        """Return how many times the corpus is read by the first `num_sequences` sequences (default: all)."""
        position = (self.num_sequences if num_sequences is None else num_sequences) * self.length
        epoch = self._epoch_at(position)
        begin, end = self._begins[epoch], self._begins[epoch + 1]
        return epoch + (position - begin) / (end - begin)

    def _epoch_at(self, position: int) -> int:
        while self._begins[-1] <= position:
            self._begins.append(self._begins[-1] + int(self._plan(len(self._begins) - 1).ends[-1]))
        return bisect_right(self._begins, position) - 1

    def _plan(self, epoch: int) -> _Plan:
        """Return the plan of an epoch; the last two made are kept. Shards are permuted, and the articles in each."""
        if epoch not in self._plans:
            shards, rows, lengths = [], [], []
            ranks = mixed(self.seed, epoch, np.arange(len(self.corpus)), 2)
            for index in np.argsort(ranks, kind="stable"):
                shard = self.corpus.shard(int(index))
                order = np.argsort(mixed(self.seed, epoch, shard.article, 3), kind="stable")
                drawn = draw(shard, order, self.insertion, self.seed, epoch)
                shards.append(np.full(len(order), index, np.int32))
                rows.append(order.astype(np.int32))
                lengths.append(lengths_after(shard, order, drawn, self.insertion))
            plan = _Plan(np.concatenate(shards), np.concatenate(rows), np.cumsum(np.concatenate(lengths)))
            self._plans = dict([*self._plans.items()][-1:]) | {epoch: plan}
        return self._plans[epoch]

    def _read(self, epoch: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and kinds of the epoch's stream from `start` to `stop`."""
        plan = self._plan(epoch)
        first = int(np.searchsorted(plan.ends, start, side="right"))
        last = int(np.searchsorted(plan.ends, stop, side="left")) + 1
        skipped = start - (int(plan.ends[first - 1]) if first else 0)
        cuts = [first, *(np.flatnonzero(np.diff(plan.shard[first:last])) + first + 1), last]
        parts = [self._articles(plan, epoch, begin, end) for begin, end in pairwise(cuts)]
        ids, kinds = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return ids[skipped : skipped + stop - start], kinds[skipped : skipped + stop - start]

    def _articles(self, plan: _Plan, epoch: int, begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ids and kinds of the articles `begin` to `end` of the plan, all in one shard."""
        shard, rows = self.corpus.shard(int(plan.shard[begin])), plan.row[begin:end]
        drawn = draw(shard, rows, self.insertion, self.seed, epoch)
        return graft(shard, rows, drawn, self.insertion, self.eos_id, self.tag_ids)


class Mixed:
    """Sequences of several sources, interleaved evenly by weight.

    Which source gives sequence k, and which of its own sequences, follows from k alone.
    """

    def __init__(self, sources: Sequence[tuple[PackedSequences, float]], num_sequences: int):
        self.sources = [(source, Fraction(weight).limit_denominator(10**6)) for source, weight in sources]
        self.num_sequences = num_sequences
        if not self.sources or any(weight < 0 for _, weight in self.sources) or not sum(w for _, w in self.sources):
            raise LingraftError(
                "a mix needs weights of zero or more, one of them above zero",
                f"The weights are: {', '.join(str(weight) for _, weight in sources) or 'none'}.",
            )

    def __len__(self) -> int:
        return self.num_sequences

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Return {"input_ids", "labels"} of sequence `index`. IndexError past the end."""
        if not 0 <= index < self.num_sequences:
            raise IndexError(f"sequence {index} of {self.num_sequences}")
        source, own = self.place(index)
        return self.sources[source][0].sequence(own)

    def place(self, index: int) -> tuple[int, int]:
        """Return (source, index in that source) of sequence `index` of the mix."""
        rest = sum(weight for _, weight in self.sources)
        for source, (_, weight) in enumerate(self.sources[:-1]):
            share = weight / rest if rest else Fraction(0)
            before, after = int(index * share), int((index + 1) * share)
            if after > before:
                return source, before
            index, rest = index - before, rest - weight
        return len(self.sources) - 1, index

    def taken(self) -> list[int]:
        """Return how many sequences each source gives."""
        left, rest, counts = self.num_sequences, sum(weight for _, weight in self.sources), []
        for _, weight in self.sources[:-1]:
            counts.append(int(left * (weight / rest)) if rest else 0)
            left, rest = left - counts[-1], rest - weight
        return [*counts, left]
