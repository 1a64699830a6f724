"""How fast training sequences with names are drawn from an encoded corpus, beside LEIA's way and beside copying tokens.

    python benchmarks/packing.py [--encoded DIR] [--articles 100000] [--length 2048]

Without --encoded a corpus is made up: articles of 400 tokens on average (geometric), a mention of two tokens every
thirty, a name of three in each of two languages. Each row runs in a process of its own, REPEATS times in turn; the
fewest CPU seconds count. The first plan is part of what is timed.

LEIA's loop is made again from its description: articles lie in an Arrow table of `datasets` and are read one by one
in shuffled order, as Python lists; names are put in token by token; lists are joined and cut, one process. "copy"
widens and copies as many tokens, twice, and does nothing else: what any loader that hands out ids and labels has to do.
The second table hides spans in the sequences, in batches of 16 at length 512: ours, and the way of the T5 script of
transformers' Flax examples, made again from its description: each sequence's spans by two shuffles, no seed a sequence,
sentinels counted down from the end of the vocabulary. "copy" is what it was, at that length.

Memory is what the process itself holds at the end besides the mapped corpus, which all processes share; 0 where that
found room in what it held before.
"""

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from encoding import measured
from torch.utils.data import DataLoader

from lingraft.augment import Insertion, PackedSequences, TagIds
from lingraft.augment.operators import IGNORED
from lingraft.augment.ragged import offsets_of
from lingraft.augment.span_corruption import Sentinels, SpanCorruption, SpanSequences
from lingraft.augment.store import EncodedCorpus, Shard, write_shard

REPEATS = 3
ARTICLES_A_SHARD = 20_000
VOCABULARY, TAGS, EOS = 32_000, TagIds(32_000, 32_001), 2


def make_encoded(path: Path, articles: int) -> Path:
    """Write an encoded corpus of made-up tokens, in shards of ARTICLES_A_SHARD."""
    chance = np.random.default_rng(0)
    for index, first in enumerate(range(0, articles, ARTICLES_A_SHARD)):
        number = min(ARTICLES_A_SHARD, articles - first)
        sizes = chance.geometric(1 / 400, number) + 2
        mentions = sizes // 30
        ordinal = np.arange(mentions.sum()) - np.repeat(offsets_of(mentions)[:-1], mentions)
        entries = 2 * len(ordinal)
        shard = Shard(
            article=np.arange(first, first + number),
            bytes=(4 * sizes).astype(np.int32),
            ids=chance.integers(3, VOCABULARY, sizes.sum(), np.int32),
            id_offsets=offsets_of(sizes),
            starts=(30 * ordinal + 5).astype(np.int32),
            ends=(30 * ordinal + 7).astype(np.int32),
            mention_offsets=offsets_of(mentions),
            name_offsets=offsets_of(2 * mentions),
            name_mention=np.repeat(ordinal, 2).astype(np.int32),
            name_lang=np.tile(np.array([0, 1], np.int16), len(ordinal)),
            name_ids=chance.integers(3, VOCABULARY, 3 * entries, np.int32),
            name_id_offsets=3 * np.arange(entries + 1),
        )
        write_shard(path / "encoded" / f"part-{index:05d}.arrow", shard, ["en", "de"])
    (path / "manifest.json").write_text(json.dumps({"stage": "augment", "languages": ["en", "de"]}))
    return path


def packed(encoded: Path, length: int, number: int = 10**9, **options: Any) -> PackedSequences:
    """Return sequences with LEIA's insertion."""
    return PackedSequences(encoded, Insertion(), length, number, eos_id=EOS, tag_ids=TAGS, **options)


def own_megabytes() -> float:
    """Return what this process holds besides mapped files."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def ours(
    encoded: Path, length: int, number: int, batch: int, kernel: str = "compiled", **options: Any
) -> dict[str, Any]:
    """Draw `number` sequences in batches."""
    os.environ["LINGRAFT_KERNEL"] = kernel
    before = own_megabytes()
    sequences = packed(encoded, length, **options)
    for first in range(0, number, batch):
        sequences.__getitems__(range(first, first + batch))
    return {"tokens": number * length, "own": own_megabytes() - before}


def loader(encoded: Path, length: int, number: int) -> dict[str, Any]:
    """Draw them as a training does: torch's DataLoader, batches of 16, stacked to tensors, in the same process."""
    before = own_megabytes()
    for _ in DataLoader(packed(encoded, length, number), batch_size=16):
        pass
    return {"tokens": number * length, "own": own_megabytes() - before}


def leia(table: Path, length: int, number: int) -> dict[str, Any]:
    """Draw them as LEIA does: random access to a table, Python lists, joined and cut."""
    before = own_megabytes()
    articles = Dataset.from_file(str(table))
    chance = np.random.default_rng(0)
    ids: list[int] = []
    labels: list[int] = []
    given = 0
    while given < number:
        for index in chance.permutation(len(articles)).tolist():
            for token, label in _leia_article(articles[index], chance):
                ids.append(token)
                labels.append(label)
            while len(ids) >= length:
                np.array(ids[:length]), np.array(labels[:length])
                ids, labels, given = ids[length:], labels[length:], given + 1
            if given >= number:
                break
    return {"tokens": given * length, "own": own_megabytes() - before}


def _leia_article(article: dict[str, Any], chance: np.random.Generator) -> Iterator[tuple[int, int]]:
    names = {end: name for end, name in zip(article["ends"], article["names"], strict=True) if chance.random() < 0.5}
    for place, token in enumerate(article["input_ids"]):
        if place in names:
            yield TAGS.open, IGNORED
            yield from ((name, name) for name in names[place])
            yield TAGS.close, IGNORED
        yield token, token


def leia_table(encoded: Path, table: Path, most: int) -> None:
    """Write `most` articles of the corpus as the table that LEIA reads: ids, ends of mentions, one name for each."""
    import pyarrow as pa

    shard = EncodedCorpus(encoded).shard(0)
    articles = pa.ipc.open_file(pa.memory_map(str(EncodedCorpus(encoded).parts[0]))).get_batch(0).slice(0, most)
    of = np.repeat(np.arange(len(shard.article)), np.diff(shard.name_offsets))
    first = np.flatnonzero(np.diff(shard.mention_offsets[of] + shard.name_mention, prepend=-1))
    cuts = shard.name_id_offsets
    names = [shard.name_ids[cuts[at] : cuts[at + 1]].tolist() for at in first]
    named = [names[begin:end] for begin, end in pairwise(shard.mention_offsets[: len(articles) + 1].tolist())]
    held = pa.table({"input_ids": articles["input_ids"], "ends": articles["ends"], "names": named})
    with pa.OSFile(str(table), "wb") as sink, pa.ipc.new_stream(sink, held.schema) as to:
        to.write_table(held)


def copy(encoded: Path, length: int, number: int) -> dict[str, Any]:
    """Widen and copy tokens to new arrays of ids and labels."""
    ids = EncodedCorpus(encoded).shard(0).ids
    for index in range(number):
        at = index * length % (len(ids) - length)
        ids[at : at + length].astype(np.int64), ids[at : at + length].astype(np.int64)
    return {"tokens": number * length, "own": 0.0}


def speed(encoded: Path, length: int, table: Path) -> None:
    """Print the table of speed and memory."""
    whole = max(16, 20_000_000 // length // 16 * 16)
    some = max(16, 2_000_000 // length // 16 * 16)
    works = {
        "copy": partial(copy, encoded, length, whole),
        "ours, wrapped, one at a time": partial(ours, encoded, length, whole, 1),
        "ours, wrapped, batches of 16": partial(ours, encoded, length, whole, 16),
        "ours, split, batches of 16": partial(ours, encoded, length, whole, 16, packing="split"),
        "  and documents and kinds": partial(
            ours, encoded, length, whole, 16, packing="split", extra=["documents", "kinds"]
        ),
        "ours, wrapped, through a DataLoader": partial(loader, encoded, length, whole),
        "ours without the kernel, wrapped": partial(ours, encoded, length, some, 16, "python"),
        "LEIA's loop": partial(leia, table, length, some),
    }
    best: dict[str, dict[str, Any]] = {}
    for _ in range(REPEATS):
        for name, work in works.items():
            found = measured(work)
            best[name] = min(best.get(name, found), found, key=lambda row: row["cpu"])
    rates = {name: row["tokens"] / row["cpu"] for name, row in best.items()}
    slowest, floor = rates["LEIA's loop"], rates["copy"]
    print(f"{'':40}{'tokens':>13}{'CPU s':>8}{'tokens/CPU s':>15}{'x LEIA':>8}{'x copy':>8}{'own MB':>8}")
    for name, row in best.items():
        print(
            f"{name:40}{row['tokens']:13,}{row['cpu']:8.2f}{rates[name]:15,.0f}"
            f"{rates[name] / slowest:8.1f}{rates[name] / floor:8.2f}{max(0.0, row['own']):8.1f}"
        )


class Rows:
    """Rows of made-up tokens, already packed."""

    def __init__(self, length: int):
        self.ids = np.random.default_rng(0).integers(200, VOCABULARY, (64, length))

    def __getitems__(self, indices: range) -> list[dict[str, np.ndarray]]:
        return [{"input_ids": self.ids[index % 64], "labels": self.ids[index % 64]} for index in indices]


def our_spans(length: int, number: int) -> dict[str, Any]:
    """Hide spans in `number` sequences, in batches of 16."""
    spans, sentinels = SpanCorruption(), Sentinels(ids=np.arange(100), eos=EOS)
    data = SpanSequences(Rows(spans.raw_length(length)), spans, sentinels, start=0)
    for first in range(0, number, 16):
        data.__getitems__(range(first, first + 16))
    return {"tokens": number * length, "own": 0.0}


def flax_spans(length: int, number: int) -> dict[str, Any]:
    """Hide spans as the script of the Flax examples does."""
    spans = SpanCorruption()
    raw = spans.raw_length(length)
    tokens, parts = spans.hidden(raw)
    rows = Rows(raw)
    chance = np.random.default_rng(0)

    def sizes(total: int) -> np.ndarray:
        begins = np.arange(total - 1) < parts - 1
        chance.shuffle(begins)
        return np.unique(np.cumsum(np.concatenate([[0], begins])), return_counts=True)[1]

    def one_mask() -> np.ndarray:
        ends = np.cumsum(np.stack([sizes(raw - tokens), sizes(tokens)], axis=1).ravel())[:-1]
        edges = np.zeros(raw, np.int8)
        edges[ends] = 1
        return np.cumsum(edges) % 2 == 1

    def without(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        first = mask & ~np.roll(mask, 1, axis=1)
        first[:, 0] = mask[:, 0]
        kept = np.where(first, VOCABULARY - np.cumsum(first, axis=1), np.where(mask, -1, ids))
        return np.concatenate([kept[kept >= 0].reshape(len(ids), -1), np.full((len(ids), 1), EOS)], axis=1)

    for start in range(0, number, 16):
        ids = np.array([item["input_ids"] for item in rows.__getitems__(range(start, start + 16))])
        masks = np.array([one_mask() for _ in ids])
        without(ids, masks), without(ids, ~masks)
    return {"tokens": number * length, "own": 0.0}


def hide_spans(encoded: Path, length: int = 512, number: int = 16_000) -> None:
    """Print the table of span corruption."""
    works = {
        "copy": partial(copy, encoded, length, number),
        "ours": partial(our_spans, length, number),
        "the way of transformers' Flax script": partial(flax_spans, length, number),
    }
    best: dict[str, float] = {}
    for _ in range(REPEATS):
        for name, work in works.items():
            best[name] = min(best.get(name, float("inf")), measured(work)["cpu"])
    print(f"\n{'hide spans':40}{'tokens':>13}{'CPU s':>8}{'tokens/CPU s':>15}{'x Flax way':>12}")
    for name, seconds in best.items():
        rate = number * length / seconds
        print(f"{name:40}{number * length:13,}{seconds:8.2f}{rate:15,.0f}{list(best.values())[-1] / seconds:12.1f}")


def resume(encoded: Path, length: int) -> None:
    """Print the CPU seconds until one sequence is there, near the beginning and far from it."""

    def timed(sequences: PackedSequences, index: int) -> float:
        before = time.process_time()
        sequences[index]
        return time.process_time() - before

    print(f"\n{'CPU ms until a sequence is there':40}{'wrapped':>10}{'split':>10}")
    rows: dict[str, list[float]] = {}
    for packing in ("wrapped", "split"):
        far = packed(encoded, length, packing=packing)
        found = {"the first, in a fresh process": timed(far, 0), "the one after it": timed(far, 1)}
        found["number 1,000,000"] = timed(far, 10**6)
        found["number 1,000,001"] = timed(far, 10**6 + 1)
        again = packed(encoded, length, packing=packing)
        again.load_state_dict(json.loads(json.dumps(far.state_dict())))
        found["number 1,000,000 from a saved state"] = timed(again, 10**6)
        for name, seconds in found.items():
            rows.setdefault(name, []).append(1000 * seconds)
        epochs = far.epochs(10**6)
    for name, (wrapped, split) in rows.items():
        print(f"{name:40}{wrapped:10.2f}{split:10.2f}")
    print(
        f"number 1,000,000 lies in epoch {epochs:.1f}; reading up to it would draw {10**6 * length / 1e9:.1f}G tokens"
    )


def waste(encoded: Path) -> None:
    """Print what the two packings cut and pad, by length."""
    articles = sum(
        len(shard.article) for shard in map(EncodedCorpus(encoded).shard, range(len(EncodedCorpus(encoded))))
    )
    print(f"\n{'length':>8}{'longer than it':>17}{'cut by wrapped':>17}{'cut by split':>15}{'padding of split':>18}")
    for length in (256, 512, 1024, 2048, 4096):
        wrapped, split = packed(encoded, length), packed(encoded, length, packing="split")
        plans = [wrapped._plan.window(number) for number in range(wrapped._plan.windows_an_epoch)]
        sizes = np.concatenate([plan.end - plan.begin for plan in plans])
        begins = np.concatenate([plan.begin for plan in plans])
        long = (sizes > length).mean()
        cut = (begins // length != (begins + sizes - 1) // length).mean()
        number = 0
        while split.epochs(number) < 1:
            number += max(1, articles // 50)
        padding = split.padding(number) / (number * length)
        print(f"{length:8,}{long:17.1%}{cut:17.1%}{long:15.1%}{padding:18.3%}")


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--encoded", type=Path, help="folder of a finished augment")
    options.add_argument("--articles", type=int, default=100_000, help="size of the made-up corpus")
    options.add_argument("--length", type=int, default=2048)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        encoded = asked.encoded or make_encoded(Path(folder) / "encoded", asked.articles)
        leia_table(encoded, Path(folder) / "table.arrow", 5_000)
        ours(encoded, asked.length, 16, 16)  # what is imported late is no part of what is timed
        speed(encoded, asked.length, Path(folder) / "table.arrow")
        hide_spans(encoded)
        resume(encoded, asked.length)
        waste(encoded)


if __name__ == "__main__":
    with contextlib.redirect_stderr(io.StringIO()):  # progress bars of libraries; an error still ends the benchmark
        main()
