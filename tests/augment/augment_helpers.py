"""Small corpora in the shape of `corpus build`, and one tokenizer of each kind, trained on made-up text."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LINK = pa.struct(
    [("start", pa.int32()), ("end", pa.int32()), ("target", pa.string()), ("entity", pa.int64()), ("name", pa.string())]
)
TEXTS = [
    "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας. Στην Αθήνα ζουν πολλοί άνθρωποι.",
    "東京都は日本の首都である。東京の人口は多い。京都も古い都である。",
    "Cafe\u0301 ﬁne in Åland 😀👩‍👩‍👧 Athens is old, Rome is older; New York is not.",
    "Athens and Rome are cities. The city of Athens (Αθήνα) lies in Greece: x Athens Rome New York Tokyo.",
]


def article(text: str, *anchors: tuple[str, int | None], occurrence: int = 0) -> dict:
    """An article whose links are the first places of the `anchors` (words, entity) in the text, in this order."""
    links, at = [], 0
    for words, entity in anchors:
        start = text.index(words, at)
        at = start + len(words)
        links.append({"start": start, "end": at, "target": words, "entity": entity, "name": None})
    return {"text": text, "links": links}


def write_corpus(path: Path, shards: list[list[dict]], names: list[tuple] = (), row_group: int = 3) -> Path:
    """Write a finished corpus folder; `names` are (entity, lang, name[, source])."""
    (path / "articles").mkdir(parents=True)
    number = 0
    for index, shard in enumerate(shards):
        rows = []
        for item in shard:
            number += 1
            rows.append({"id": item.get("id", number), "text": item["text"], "links": item["links"]})
        kind = pa.schema([("id", pa.int64()), ("text", pa.large_string()), ("links", pa.list_(LINK))])
        table = pa.Table.from_pylist(rows, kind)
        pq.write_table(table, path / "articles" / f"part-{index:05d}.parquet", row_group_size=row_group)
    kind = pa.schema([("entity", pa.int64()), ("lang", pa.string()), ("name", pa.string()), ("source", pa.string())])
    held = [dict(zip(kind.names, (*name, "sitelink")[:4], strict=True)) for name in names]
    pq.write_table(pa.Table.from_pylist(held, kind), path / "names.parquet")
    manifest = {"stage": "corpus build", "config": {}, "config_hash": "0", "identity": {}, "inputs": []}
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def train_tokenizer(kind: str):
    """Train a raw tokenizer of one kind on TEXTS."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    specials = ["<unk>", "<s>", "</s>"]
    if kind.startswith("bytes"):
        trim, prefix = "trim" in kind, "prefix" in kind
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
        )
    elif kind == "metaspace-unigram":  # as XLM-R
        tokenizer = Tokenizer(models.Unigram())
        collapse = normalizers.Replace(Regex(" {2,}"), " ")
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), collapse])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=160, special_tokens=specials, unk_token="<unk>", show_progress=False
        )
    elif kind == "prepend-bpe":  # as Llama 2: no pre-tokenizer, bytes for what is unknown
        tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        specials = specials + [f"<0x{byte:02X}>" for byte in range(256)]
        tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # so that training learns words
        trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=specials, show_progress=False)
    elif kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=specials, show_progress=False)
    else:
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(special_tokens=specials, show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    if kind == "prepend-bpe":
        tokenizer.pre_tokenizer = None
    return tokenizer


KINDS = ["bytes", "bytes-trim", "bytes-prefix", "bytes-trim-prefix", "metaspace-unigram", "prepend-bpe", "wordpiece"]
KINDS = [*KINDS, "words"]
_TRAINED: dict = {}


def trained(kind: str):
    """The tokenizer of one kind, trained once a session."""
    if kind not in _TRAINED:
        _TRAINED[kind] = train_tokenizer(kind)
    return _TRAINED[kind]


def save_model(path: Path, kind: str = "bytes") -> Path:
    """Save the tokenizer of one kind as a model folder would hold it."""
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=trained(kind), eos_token="</s>", bos_token="<s>", unk_token="<unk>"
    ).save_pretrained(path)
    return path
