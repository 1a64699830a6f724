"""Real dumps give corpora of the same bytes with one worker and three, compiled and in Python."""

import hashlib
from pathlib import Path

import pytest

from lingraft.corpus import BuildConfig, build, extract
from lingraft.wikimedia.wikitext import kernel

pytestmark = pytest.mark.real

DUMPS = {
    "ff": "complete/ffwiki-latest-pages-articles.xml.bz2",
    "ha": "complete/hawiki-latest-pages-articles.xml.bz2",
    "ig": "complete/igwiki-latest-pages-articles.xml.bz2",
    "el": "excerpts/elwiki-truncated-100k.xml.xz",
    "uk": "excerpts/ukwiki-truncated-100k.xml.xz",
    "mr": "excerpts/mrwiki-truncated-100k.xml.xz",
}


def digests(folder: Path) -> dict[str, str]:
    files = [*folder.glob("articles/*"), *folder.glob("tables/*"), folder / "titles.arrow", folder / "names.parquet"]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)}


@pytest.mark.parametrize(
    "lang", [lang if lang == "ff" else pytest.param(lang, marks=pytest.mark.slow) for lang in DUMPS]
)
def test_corpora_are_the_same(shared_data, tmp_path, monkeypatch, lang):
    wikidata = shared_data / "wikidata" / "wikidata-20151109-1000-entities.json.bz2"
    config = BuildConfig(dump=[shared_data / "dumps" / DUMPS[lang]], lang=lang, wikidata=[wikidata], shard_size=200_000)
    found = []
    for name, workers in {"one": 1, "three": 3, "python": 1}.items():
        if name == "python":
            monkeypatch.setenv("LINGRAFT_KERNEL", "python")
            extract._wiki.cache_clear()
            assert kernel() is None
        build(config, tmp_path / name, workers=workers, quiet=True)
        found.append(digests(tmp_path / name))
    extract._wiki.cache_clear()
    assert len(found[0]) > 5
    assert found[0] == found[1] == found[2]
