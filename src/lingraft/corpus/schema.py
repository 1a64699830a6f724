"""The corpus on disk, version 1: one row an article, Parquet shards `articles/part-{index:05d}.parquet`."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

VERSION = 1

SECTION = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("level", pa.int8()), ("heading", pa.string())])
LINK = pa.struct(
    [
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("target", pa.string()),
        ("entity", pa.int64()),
        ("name", pa.string()),
    ]
)

ARTICLE = pa.schema(
    [
        ("id", pa.int64()),
        ("revision", pa.int64()),
        ("title", pa.string()),
        ("lang", pa.string()),
        ("entity", pa.int64()),
        ("text", pa.large_string()),
        ("sections", pa.list_(SECTION)),
        ("links", pa.list_(LINK)),
        ("flags", pa.list_(pa.string())),
    ],
    metadata={"lingraft.schema": str(VERSION)},
)
"""Offsets are Unicode code points: `text[start:end]` is the anchor. Links are sorted and do not overlap; `entity` is
null where a link is unresolved, `name` there only where the wikitext gave one in another language. Level 0 is the lead.
"""

ROW_GROUP = 1024
"""Articles in a row group: what a reader holds at a time."""


def part_name(index: int) -> str:
    """Return the name of shard `index` inside the corpus folder."""
    return f"articles/part-{index:05d}.parquet"


def articles_writer(path: Path) -> pq.ParquetWriter:
    """Open one shard of articles for writing; each batch of at most `ROW_GROUP` articles becomes a row group."""
    return pq.ParquetWriter(
        path,
        ARTICLE,
        compression="zstd",
        use_dictionary=["lang", "links.list.element.target", "links.list.element.entity", "flags.list.element"],
        write_statistics=["id", "entity"],
    )


def write_articles(path: Path, articles: pa.Table) -> None:
    """Write one shard of articles."""
    with articles_writer(path) as writer:
        writer.write_table(articles.cast(ARTICLE), row_group_size=ROW_GROUP)
