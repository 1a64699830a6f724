"""What base and donors have in common: plain text of a language, encoded, and a model that is trained to predict it."""

import contextlib
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lingraft import runs
from lingraft.adapt import Source, TrainConfig, Training
from lingraft.augment import EncodeConfig, Insertion, encode
from lingraft.augment.masking import Masking
from lingraft.config import Config, InputPath, Size, load
from lingraft.corpus.read import damage_named
from lingraft.corpus.schema import part_name, write_articles
from lingraft.errors import LingraftError
from lingraft.transfer.scoring_sets import Objective

PLAIN_TEXT = Insertion(operation="none")


class _Cut(Config):
    corpus: InputPath
    bytes: Size


def encode_plain(corpus: Path, model: str, out: Path) -> dict[str, int]:
    """Encode the text of one language into the run folder `out`; return the counters."""
    return dict(encode(EncodeConfig(corpus=corpus, model=model, names=[]), out, workers=1)["counters"])


def cut(corpus: Path, num_bytes: int, out: Path) -> Path:
    """Write the corpus folder `out` with lines of `corpus`, in their order, of at most `num_bytes`; return `out`.

    What is left out goes by a hash of the lines' keys: of parallel text all languages keep the same lines. Raises
    LingraftError when there is less text than that.
    """
    with runs.open(out, "transfer cut", _Cut(corpus=corpus, bytes=num_bytes), versions=["pyarrow"]) as run:
        if run.complete:
            return out
        tables = []
        for part in sorted((corpus / "articles").glob("part-*.parquet")):
            with damage_named(part):
                tables.append(pq.read_table(part))
        lines = pa.concat_tables(tables)
        sizes = np.array([len(text.encode()) for text in lines["text"].to_pylist()], np.int64)
        if sizes.sum() < num_bytes:
            raise LingraftError(
                f"{corpus} holds {int(sizes.sum()):,} bytes of text, fewer than donor_bytes {num_bytes:,}",
                "Donors are to be of one size.",
                f"Set donor_bytes to {int(sizes.sum()):,} or less, or leave this donor out.",
            )
        hashes = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in lines["title"].to_pylist()]
        order = np.argsort(np.array(hashes), kind="stable")
        kept = np.sort(order[np.cumsum(sizes[order]) <= num_bytes])
        with run.write(part_name(0)) as path:
            write_articles(path, lines.take(kept))
        run.finish({"lines": len(kept), "bytes": int(sizes[kept].sum()), "lines_left_out": len(lines) - len(kept)})
    return out


def training_config(
    model: str,
    encoded: Sequence[Path],
    objective: Objective,
    training: Training,
    temperature: float = 1.0,
    validation: Sequence[Path] = (),
) -> TrainConfig:
    """Return the training of a model on plain text for an objective. LingraftError for what contradicts itself."""
    predicts: dict[str, Any] = {
        "spans": {"spans": objective.spans},
        "masked": {"masking": Masking(objective="mlm", mlm=objective.masking_share)},
        "causal": {},
    }[objective.kind]
    sources, held_out = (
        [Source(encoded=path, insertion=PLAIN_TEXT) for path in paths] for paths in (encoded, validation)
    )
    values = {"model": model, "sources": sources, "validation": held_out, "training": training}
    values["temperature"] = temperature
    return load(TrainConfig, values | predicts)


@contextlib.contextmanager
def worker(threads: int, *, quiet: bool) -> Iterator[None]:
    """Compute on so many threads; `quiet` as in `silent`."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with silent(quiet):
            yield
    finally:
        torch.set_num_threads(before)


def silent(quiet: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Show no bars of inner stages: those of several processes would mix, and the matrix has one of its own."""
    return contextlib.redirect_stderr(io.StringIO()) if quiet else contextlib.nullcontext()
