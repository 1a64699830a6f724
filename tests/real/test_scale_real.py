"""Real dumps through datatrove: shared out to tasks, and built by a Ray that is really started."""

import bz2
import hashlib
from pathlib import Path

import pytest

pytest.importorskip("datatrove", reason="needs the extra [scale]")

from lingraft.corpus import BuildConfig, build, cluster
from lingraft.engine_ranks import EngineConfig
from lingraft.wikimedia.datatrove import WikipediaReader

COMPLETE = "dumps/complete"


def unpacked(dump: Path, folder: Path) -> Path:
    """Unpack a dump of one bzip2 stream: XML can be cut anywhere."""
    xml = folder / dump.stem
    xml.write_bytes(bz2.decompress(dump.read_bytes()))
    return xml


@pytest.mark.parametrize(
    ("name", "lang", "articles"),
    [("hawiki-latest-pages-articles.xml.bz2", "ha", 1629), ("elwikivoyage-pages-articles.xml.bz2", "el", 1306)],
)
def test_tasks_share_out_the_articles_that_a_build_has(shared_data, tmp_path, name, lang, articles):
    dump = unpacked(shared_data / COMPLETE / name, tmp_path)
    reader = WikipediaReader(dump, lang, shard_size=20_000)
    found = {}
    for rank in range(4):
        documents = list(reader.run(rank=rank, world_size=4))
        assert documents
        found |= {document.id: document for document in documents}
    config = BuildConfig(dump=[dump], lang=lang)
    manifest = build(config, tmp_path / "corpus", workers=1, quiet=True)
    assert len(found) == manifest["counters"]["articles"]
    assert abs(len(found) - articles) <= 10
    assert sum(len(document.metadata["links"]) for document in found.values()) == manifest["counters"]["links"]
    for document in found.values():
        for link in document.metadata["links"]:
            assert document.text[link["start"] : link["end"]].strip()


def bytes_of(corpus: Path) -> dict[str, str]:
    files = [*(corpus / "articles").iterdir(), *(corpus / "tables").iterdir(), corpus / "titles.arrow"]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def started_ray():
    """One small Ray for all dumps."""
    ray = pytest.importorskip("ray", reason="needs the extra [ray]: make test-ray")
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("started_ray")
@pytest.mark.parametrize(
    ("name", "lang"),
    [
        ("hawiki-latest-pages-articles.xml.bz2", "ha"),
        ("igwiki-latest-pages-articles.xml.bz2", "ig"),
        ("ffwiki-latest-pages-articles.xml.bz2", "ff"),
        ("elwikivoyage-pages-articles.xml.bz2", "el"),
    ],
)
def test_ray_builds_the_bytes_of_a_local_build(shared_data, tmp_path, name, lang):
    dump = unpacked(shared_data / COMPLETE / name, tmp_path)
    wikidata = sorted((shared_data / "wikidata").glob("*2015*.json*"))[:1]
    config = BuildConfig(dump=[dump], lang=lang, wikidata=wikidata, shard_size=50_000)
    engine = EngineConfig(kind="ray", tasks=2, memory_gb=1, time="00:05:00")
    build(config, tmp_path / "here", workers=1, quiet=True)
    cluster.build_on(engine, config, tmp_path / "ray", quiet=True)
    assert bytes_of(tmp_path / "ray") == bytes_of(tmp_path / "here")
    assert len(list((tmp_path / "here" / "articles").iterdir())) > 3
