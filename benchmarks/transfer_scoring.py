"""A checkpoint scored on fixed masks by ours, by a padded loop, and the forward passes alone: time, tokens, memory.

    python benchmarks/transfer_scoring.py [--lines 100] [--checkpoints 2] [--data ../shared/data/transfer]

The lines are those of NLLB-Seed in some languages, with a Unigram tokenizer trained on them and a random T5. "padded"
goes as the notebooks of the published matrix do: for each checkpoint it tokenizes the lines again, pads each to 256
tokens, draws masks over the padding, too, and reads them 8 at a time in the order of the file. "ours" makes its scoring
sets once, which its seconds hold in equal shares, and scores them. "floor" is the model alone on as many tokens as ours
reads, all rows cut to one length so that nothing is padded.

Seconds are CPU seconds of one thread for a checkpoint. "tokens" go through encoder and decoder for a line; "padding" is
the share of them that "floor" does without. Memory is what the process of each way grows by at most (Linux).
"""

import argparse
import json
import lzma
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).parents[1]
DATA = REPOSITORY.parent / "shared" / "data" / "transfer"
LANGUAGES = ("bam_Latn", "crh_Latn", "mri_Latn", "lij_Latn", "hne_Deva", "fuv_Latn")
LENGTH, BATCH = 256, 8
VOCABULARY = 8000
SENTINELS = [f"<extra_id_{number}>" for number in range(100)]


class Line(NamedTuple):
    """A line and its key, as transfer.corpora gives it."""

    key: str
    text: str


def read_lines(data: Path, number: int) -> dict[str, list[Line]]:
    """Return the first lines of each language."""
    found = {}
    for language in LANGUAGES:
        path = next((data / "nllb_seed").glob(f"*/{language}.xz"))
        texts = lzma.decompress(path.read_bytes()).decode().splitlines()[:number]
        found[language] = [Line(f"{language}/{place}", text) for place, text in enumerate(texts)]
    return found


def make_model(folder: Path, texts: list[str]) -> None:
    """Write a tokenizer trained on the lines, and a random T5 of the shape of a small one."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    raw = Tokenizer(models.Unigram())
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>", *SENTINELS]
    raw.train_from_iterator(
        texts,
        trainers.UnigramTrainer(vocab_size=VOCABULARY, special_tokens=special, unk_token="<unk>", show_progress=False),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="</s>", pad_token="<pad>", unk_token="<unk>", extra_special_tokens=SENTINELS
    )
    torch.manual_seed(0)
    shape = T5Config(
        vocab_size=len(tokenizer), d_model=128, d_kv=32, d_ff=512, num_layers=4, num_heads=4, decoder_start_token_id=0
    )
    model = T5ForConditionalGeneration(shape)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def measure(way: str, folder: Path, data: Path, number: int, checkpoints: int) -> dict[str, Any]:
    """Score the languages in this process in one way, as often as there are checkpoints."""
    import torch

    from lingraft.transfer.scoring import Objective, load_scorer

    torch.set_num_threads(1)
    lines = read_lines(data, number)
    model, tokenizer = load_scorer(folder, Objective(), device="cpu")
    with torch.inference_mode():
        model(input_ids=torch.ones(2, 8, dtype=torch.long), decoder_input_ids=torch.ones(2, 4, dtype=torch.long))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    found = WAYS[way](model, tokenizer, lines, checkpoints)
    seconds = (time.process_time() - started - found.pop("not_counted", 0.0)) / checkpoints
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"seconds": seconds, "memory": memory, "lines": sum(map(len, lines.values())), **found}


def ours(model: Any, tokenizer: Any, lines: dict[str, list[Line]], checkpoints: int) -> dict[str, Any]:
    """Fixed sets, made once; batches of rows sorted by length, with a token budget."""
    from lingraft.transfer import scoring

    sets, making = _sets(tokenizer, lines)
    read: list[int] = []
    model.register_forward_pre_hook(
        lambda _, __, given: read.append(given["input_ids"].numel() + given["decoder_input_ids"].numel()),
        with_kwargs=True,
    )
    for _ in range(checkpoints):
        for asked in sets:  # one by one, as the matrix does
            scoring.score(model, [asked], device="cpu")
    useful = sum(len(row.inputs) + len(row.labels) for asked in sets for row in asked.rows)
    return {"tokens": sum(read) / checkpoints, "useful": useful, "making": making}


def padded(model: Any, tokenizer: Any, lines: dict[str, list[Line]], checkpoints: int) -> dict[str, Any]:
    """Everything anew for each checkpoint, padded to 256 tokens, batches of 8; masks over the padding, too."""
    import numpy as np
    import torch

    from lingraft.augment.span_corruption import Sentinels, SpanCorruption, corrupt, noise_mask

    sentinels, generator = Sentinels.of(tokenizer), np.random.default_rng()
    texts = [line.text for of_language in lines.values() for line in of_language]
    tokens = 0
    for _ in range(checkpoints):
        for start in range(0, len(texts), BATCH):
            held = texts[start : start + BATCH]
            encoded = tokenizer(held, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]
            pairs = []
            for ids in encoded:
                hidden = noise_mask(LENGTH, SpanCorruption(), seed=int(generator.integers(1 << 62)), index=0)
                pairs.append(corrupt(np.array(ids), hidden, sentinels))
            inputs, labels = (torch.tensor(np.stack(side)) for side in zip(*pairs, strict=True))
            with torch.inference_mode():
                float(model(input_ids=inputs, labels=labels).loss)
            tokens += inputs.numel() + labels.numel()
    sets, making = _sets(tokenizer, lines)
    useful = sum(len(row.inputs) + len(row.labels) for asked in sets for row in asked.rows)
    return {"tokens": tokens / checkpoints, "useful": useful, "not_counted": making}


def floor(model: Any, tokenizer: Any, lines: dict[str, list[Line]], checkpoints: int) -> dict[str, Any]:
    """The model's forward passes on the tokens that ours needs, cut to rows of one length: no padding, no sums."""
    import numpy as np
    import torch

    from lingraft.transfer.scoring import BATCH_TOKENS

    sets, making = _sets(tokenizer, lines)
    rows = [row for asked in sets for row in asked.rows]
    inputs, labels = (np.concatenate([getattr(row, name) for row in rows]) for name in ("inputs", "labels"))
    widths = [round(len(flat) / len(rows)) for flat in (inputs, labels)]
    sides = [np.resize(flat, (len(rows), width)) for flat, width in zip((inputs, labels), widths, strict=True)]
    size = BATCH_TOKENS // sum(widths)
    for _ in range(checkpoints):
        for start in range(0, len(rows), size):
            read, told = (torch.from_numpy(side[start : start + size].astype(np.int64)) for side in sides)
            with torch.inference_mode():
                model(input_ids=read, decoder_input_ids=told, use_cache=False)
    useful = len(rows) * sum(widths)
    return {"tokens": useful, "useful": useful, "not_counted": making}


def _sets(tokenizer: Any, lines: dict[str, list[Line]]) -> tuple[list[Any], float]:
    """Return the scoring sets, and the CPU seconds that making them took."""
    from lingraft.transfer.scoring import Objective, scoring_set

    started = time.process_time()
    sets = [
        scoring_set(language, held, tokenizer, Objective(), seed=0, length=LENGTH) for language, held in lines.items()
    ]
    return sets, time.process_time() - started


WAYS: dict[str, Callable[..., dict[str, Any]]] = {"padded": padded, "ours": ours, "floor": floor}


def alone(*given: object) -> dict[str, Any]:
    """Return what `measure` finds in a process of its own."""
    command = [sys.executable, __file__, "--one", *map(str, given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--lines", type=int, default=100, help="lines of each language")
    options.add_argument("--checkpoints", type=int, default=2)
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        way, folder, data, number, checkpoints = given.one
        print(json.dumps(measure(way, Path(folder), Path(data), int(number), int(checkpoints))))
        return
    with tempfile.TemporaryDirectory() as work:
        lines = read_lines(given.data, given.lines)
        make_model(Path(work), [line.text for held in lines.values() for line in held])
        found = {way: alone(way, work, given.data, given.lines, given.checkpoints) for way in WAYS}
    columns = ("way", "seconds", "times", "lines/s", "tokens/line", "padding", "memory MB")
    print(f"{len(LANGUAGES)} languages, {given.lines} lines each, {given.checkpoints} checkpoints")
    print("".join(f"{column:>13}" for column in columns))
    for way, held in found.items():
        cells = (
            way,
            f"{held['seconds']:.2f}",
            f"{found['padded']['seconds'] / held['seconds']:.1f}",
            f"{held['lines'] / held['seconds']:.0f}",
            f"{held['tokens'] / held['lines']:.0f}",
            f"{1 - held['useful'] / held['tokens']:.1%}",
            f"{held['memory']:.0f}",
        )
        print("".join(f"{cell:>13}" for cell in cells))
    print(f"making the sets of ours, once: {found['ours']['making']:.2f} s")


if __name__ == "__main__":
    main()
