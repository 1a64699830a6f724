"""--engine ray: a Ray that is really started here builds the bytes of a local build, also after ranks that failed."""

from pathlib import Path

import pytest
import run_helpers
from corpus_helpers import build_quietly, digest, write_dump, write_wikidata

from lingraft import engine
from lingraft.corpus import BuildConfig, cluster
from lingraft.engine_ranks import EngineConfig, Stage
from lingraft.errors import LingraftError

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray", reason="needs the extra [ray]: make test-ray")
pytest.importorskip("datatrove", reason="needs the extra [ray]: make test-ray")

PAGES = [
    (f"Page {number}", f"See [[page {number * 7 % 50}]]. " + " ".join(f"w{number * 31 + step}" for step in range(400)))
    for number in range(40)
]
ITEMS = {number + 1: {"enwiki": f"Page {number}", "frwiki": f"Feuille {number}"} for number in range(0, 40, 2)}
ENGINE = EngineConfig(kind="ray", tasks=3, at_once=2, memory_gb=1, time="00:05:00")


@pytest.fixture(scope="module")
def wiki(tmp_path_factory) -> BuildConfig:
    folder = tmp_path_factory.mktemp("wiki")
    dump = write_dump(folder / "enwiki.xml.bz2", PAGES, a_stream=4)
    wikidata = write_wikidata(folder / "wikidata.json", ITEMS)
    return BuildConfig(dump=[dump], wikidata=[wikidata], lang="en", names=["fr"], shard_size=1500)


@pytest.fixture(scope="module", autouse=True)
def started():
    """One small Ray for all tests of the module; its workers find the helpers of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(run_helpers.__file__).parent))
        ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
        yield
        ray.shutdown()


def bytes_of(corpus: Path) -> dict[str, str]:
    return {name: value for name, value in digest(corpus).items() if not name.startswith("jobs/")}


def test_a_build_by_ray_has_the_bytes_of_a_local_one(wiki, tmp_path, monkeypatch):
    build_quietly(tmp_path / "here", wiki.dump, wikidata=wiki.wikidata, shard_size=wiki.shard_size)
    monkeypatch.chdir(wiki.dump[0].parent)  # ranks find relative paths
    relative = wiki.replace(dump=[wiki.dump[0].name], wikidata=[wiki.wikidata[0].name])
    done_here = []
    monkeypatch.setattr(engine, "_run_one", lambda step, task, markers: done_here.append(task.key))
    manifest = cluster.build_on(ENGINE, relative, tmp_path / "by-ray", quiet=True)
    assert done_here == []  # ranks did all shards of both stages
    assert manifest["counters"]["articles"] == 40
    assert bytes_of(tmp_path / "by-ray") == bytes_of(tmp_path / "here")


def test_a_rank_that_fails_is_told_with_its_reason(wiki, tmp_path):
    cut = tmp_path / "enwiki.xml.bz2"
    cut.write_bytes(wiki.dump[0].read_bytes()[:-500])
    with pytest.raises(LingraftError) as caught:
        cluster.build_on(ENGINE, wiki.replace(dump=[cut], strict=True), tmp_path / "corpus", quiet=True)
    assert caught.value.what.startswith("1 of 3 ranks of the stage 'extract' failed: [")
    assert caught.value.why.startswith("dump is cut off: enwiki.xml.bz2 ends")
    assert "fetch it again, or leave out --strict" in caught.value.why
    log = Path(caught.value.why.rpartition("The log of the first: ")[2])
    assert "LingraftError" in log.read_text()
    assert caught.value.cure == "Repeat the command: what is done stays done."


@pytest.mark.parametrize(
    ("work", "limit", "reason"),
    [
        (run_helpers.second_rank_is_killed, "00:05:00", "the worker at shard gamma died\nIt was killed from outside"),
        (run_helpers.second_rank_sleeps, "00:00:10", "A rank was stopped after 00:00:10 (engine.time), and the others"),
    ],
)
def test_a_rank_that_is_killed_or_slow_ends_the_stage(tmp_path, monkeypatch, work, limit, reason):
    from lingraft import engine_ray

    monkeypatch.chdir(tmp_path)
    with pytest.raises(LingraftError, match=r"1 of 2 ranks of the stage 'extract' failed: \[1\]") as caught:
        engine_ray.run(Stage("extract", work), ENGINE.replace(tasks=2, time=limit), tmp_path / "logs")
    assert caught.value.why.startswith(reason)


def test_an_address_without_a_cluster_is_told(monkeypatch):
    from lingraft import engine_ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refuse(**options):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", refuse)
    with (
        pytest.raises(LingraftError, match="no Ray cluster at auto\nCould not find any running Ray"),
        engine_ray.cluster("auto"),
    ):
        pass
