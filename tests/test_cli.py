"""The command line: thin, fast to start, and the same words for every mistake."""

import json
import re
import subprocess
import sys

import pytest

from lingraft import __version__
from lingraft.smallworld import write_dumps
from lingraft.smallworld.world import WorldConfig

VERBS = ["demo", "corpus", "augment", "train", "evaluate", "run", "report", "schema", "doctor"]
HEAVY = ["torch", "transformers", "datasets", "pyarrow", "pydantic", "numpy", "lm_eval", "peft", "yaml", "matplotlib"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Dumps of the small world, with its title pairs beside them in two files."""
    folder = tmp_path_factory.mktemp("world")
    paths = dict(write_dumps(folder, WorldConfig(seed=9, num_entities=40)))
    for name in ("one", "two"):
        paths[name] = folder / f"{name}.tsv"
        paths[name].write_text(f"Μύθος {name}\tMyth {name}\n")
    return paths


@pytest.fixture(scope="module")
def corpus(world, tmp_path_factory):
    from lingraft.corpus import BuildConfig, build

    out = tmp_path_factory.mktemp("corpus") / "el"
    build(BuildConfig(dump=world["el"], lang="el", wikidata=world["wikidata"]), out, workers=1, quiet=True)
    return out


def test_the_command_line_loads_nothing_heavy():
    code = f"import sys, lingraft.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_installed_command_works():
    command = [sys.executable, "-c", "from lingraft.cli import main; main()", "corpus", "stats", "/nowhere"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith("error: /nowhere holds no finished run\n")
    assert "Traceback" not in finished.stderr


def test_help_names_every_verb(lingraft):
    finished = lingraft("--help")
    assert finished.code == 0
    for verb in VERBS:
        assert re.search(rf"^\s+{verb}\s+\S", finished.out, re.MULTILINE), verb


def test_without_a_verb_there_is_help(lingraft):
    finished = lingraft()
    assert finished.code == 2
    assert "Usage:" in finished.out + finished.err


@pytest.mark.parametrize(
    "verb",
    [
        *([verb] for verb in VERBS),
        *(["corpus", verb] for verb in ("download", "build", "stats", "preview", "link", "quality", "export")),
    ],
    ids=" ".join,
)
def test_every_verb_explains_itself_and_its_options(lingraft, verb):
    finished = lingraft(*verb, "--help")
    assert finished.code == 0
    assert f"lingraft {' '.join(verb)}" in finished.out
    options = re.findall(r"^  (--[a-z-]+|-[a-z])\b(?:.*\n)(?:   {20,}.*\n)*", finished.out, re.MULTILINE)
    assert "--help" in options
    assert finished.err == ""


def test_the_version_is_printed(lingraft):
    assert lingraft("--version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    "args", [["corpsu"], ["corpus", "biuld"], ["corpus", "stats"], ["corpus", "build", "--lnag", "el"]]
)
def test_what_the_command_line_does_not_know_is_a_usage_error(lingraft, args):
    finished = lingraft(*args)
    assert finished.code == 2
    assert "Traceback" not in finished.err
    assert re.search(r"No such (command|option)|Missing argument", finished.err)


def test_an_option_takes_several_values_at_once(lingraft, world, tmp_path):
    args = ["--lang", "el", "--limit", 5, "--quiet", "--out", tmp_path / "out"]
    sources = ["--wikidata", world["wikidata"], world["wikidata"], f"--titles={world['one']}", world["two"]]
    finished = lingraft("corpus", "build", "--dump", world["el"], *sources, *args)
    assert finished.code == 0, finished.err
    request = json.loads((tmp_path / "out" / "request.json").read_text())
    assert request["config"]["wikidata"] == [str(world["wikidata"])] * 2
    assert request["config"]["titles"] == [str(world["one"]), str(world["two"])]
    assert request["config"]["names"] == ["en"]
    assert f"{tmp_path / 'out'}: 5 articles, " in finished.out
    assert "corpus preview" in finished.out
    again = lingraft("corpus", "build", "--dump", world["el"], *sources, *args)
    assert again.code == 0
    assert "5 articles" in again.out


def test_values_may_be_set_by_key(lingraft, world, tmp_path):
    args = ["--dump", world["el"], "--lang", "el", "--quiet", "--out", tmp_path / "out"]
    finished = lingraft("corpus", "build", *args, "--set", "limit=2", "names=[en, fr]", "--set", "shard_size=1MiB")
    assert finished.code == 0, finished.err
    config = json.loads((tmp_path / "out" / "manifest.json").read_text())["config"]
    assert (config["limit"], config["names"], config["shard_size"]) == (2, ["en", "fr"], 1 << 20)


def test_a_recipe_gives_its_section_and_options_win_over_it(lingraft, world, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"model: tiny\ncorpus: {{dump: [{world['el']}], lang: el, names: [fr], limit: 3}}\n")
    finished = lingraft("corpus", "build", "--recipe", recipe, "--limit", 4, "--quiet", "--out", tmp_path / "out")
    assert finished.code == 0, finished.err
    config = json.loads((tmp_path / "out" / "manifest.json").read_text())["config"]
    assert (config["limit"], config["names"]) == (4, ["fr"])


def test_a_dry_run_prints_the_plan_and_writes_nothing(lingraft, world, corpus, tmp_path):
    args = ["--dump", world["el"], "--lang", "el", "--wikidata", world["wikidata"], "--dry-run"]
    finished = lingraft("corpus", "build", *args, "--out", tmp_path / "out")
    assert finished.code == 0
    assert f"corpus build -> {tmp_path / 'out'}" in finished.out
    assert "lang: el" in finished.out
    assert re.search(rf"^input: {world['el']} \(0\.\d MB\)$", finished.out, re.MULTILINE)
    assert finished.out.endswith("output: new\n")
    assert not (tmp_path / "out").exists()
    assert lingraft("corpus", "build", *args, "--out", corpus).out.endswith("output: complete, nothing would be done\n")
    other = lingraft("corpus", "build", *args, "--limit", 3, "--out", corpus)
    assert "limit: None there, 3 asked" in other.out


def test_stats_are_tables_for_people_and_json_for_programs(lingraft, corpus):
    shown = lingraft("corpus", "stats", corpus)
    assert shown.code == 0
    for words in ("links a hundred words", "share of links with a name in en", "most frequent names (en)", "redirects"):
        assert words in shown.out
    found = json.loads(lingraft("corpus", "stats", corpus, "--json").out)
    assert found.keys() == {"statistics", "frequent_names", "counters", "problems"}
    figures = {row["figure"]: row["value"] for row in found["statistics"]}
    assert figures["articles"] > 10
    assert 0 < figures["share of links with a name in en"] <= 1


def test_a_preview_marks_mentions_and_names_also_without_colours(lingraft, corpus):
    shown = lingraft("corpus", "preview", corpus, "--number", 2, "--seed", 1)
    assert shown.code == 0
    assert len(re.findall(r"^.* \(Q\d+\), page \d+$", shown.out, re.MULTILINE)) == 2
    assert re.search(r"\[\w+[^\]]*\]\{ [^}]+\}", shown.out)
    assert shown.out == lingraft("corpus", "preview", corpus, "-n", 2, "--seed", 1).out
    full = lingraft("corpus", "preview", corpus, "-n", 1, "--full")
    assert "…" not in full.out


SCHEMAS = ["run", "corpus", "augment", "train", "evaluate", "demo"]


@pytest.mark.parametrize("verb", SCHEMAS)
def test_the_schema_of_every_verb_explains_every_field(lingraft, verb):
    finished = lingraft("schema", verb)
    assert finished.code == 0
    schema = json.loads(finished.out)
    undocumented = [
        f"{section.get('title')}.{name}"
        for section in (schema, *schema.get("$defs", {}).values())
        for name, field in section.get("properties", {}).items()
        if not (field.get("description") or schema["$defs"][field["$ref"].rpartition("/")[2]]["description"])
    ]
    assert undocumented == []
    assert schema["additionalProperties"] is False


def test_the_schema_of_a_verb_without_a_config_names_the_nearest(lingraft):
    finished = lingraft("schema", "evaluat")
    assert finished.code == 1
    assert "did you mean 'evaluate'?" in finished.err
    assert all(verb in finished.err for verb in SCHEMAS)


def test_doctor_tells_what_is_installed(lingraft):
    finished = lingraft("doctor")
    assert finished.code == 0, finished.out
    for words in ("torch", "pyarrow", "cores", "accelerator"):
        assert words in finished.out
    assert "problem:" not in finished.out


def test_doctor_names_what_is_missing_and_fails(lingraft, monkeypatch):
    from importlib.metadata import PackageNotFoundError

    from lingraft.workflows import doctor

    real = doctor.version

    def version(package):
        if package in ("pyarrow", "trackio"):
            raise PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(doctor, "version", version)
    finished = lingraft("doctor")
    assert finished.code == 1
    assert "problem: pyarrow is missing, which corpora needs: reinstall lingraft" in finished.out
    assert "problem: trackio" not in finished.out
    assert "pip install 'lingraft[track]'" in finished.out


def test_brackets_in_a_table_are_text(capsys):
    from lingraft.cli.tables import print_table

    print_table([{"[name]": "f[x] [bold]y[/bold]", "value": 1234}], title="out/[el]")
    shown = capsys.readouterr().out
    for words in ("out/[el]", "[name]", "f[x] [bold]y[/bold]", "1,234"):
        assert words in shown


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["evaluate", "--compare", "a"], "--compare takes two runs, not 1"),
        (["evaluate", "--model", "m"], "--out is not given"),
        (["train", "r.yaml", "--out", "o", "--arm", "name"], "no arm 'name' did you mean 'names'?"),
        (["run", "gone.yaml", "--out", "o"], "no recipe at gone.yaml"),
        (["report", "nowhere"], "nowhere"),
        (["augment", "--out", "o"], "corpus is not given"),
        (["demo", "--set", "wrold.seed=1"], "did you mean 'world'?"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_message_and_exit_code_1(lingraft, tmp_path, monkeypatch, args, words):
    monkeypatch.chdir(tmp_path)
    finished = lingraft(*args)
    assert finished.code == 1
    assert finished.err.startswith("error: ")
    assert words in finished.err
    assert list(tmp_path.iterdir()) == []
