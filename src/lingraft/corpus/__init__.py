"""Articles with resolved links, built from dumps, as Parquet.

from lingraft.corpus import BuildConfig, build
build(BuildConfig(dump=["elwiki.xml.bz2"], lang="el", names=["en"], wikidata=["latest-all.json.gz"]), "out/el")
"""

from lingraft.corpus.building import BuildConfig, build
from lingraft.corpus.inspection import preview, stats

__all__ = ["BuildConfig", "build", "preview", "stats"]
