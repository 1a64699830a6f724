"""Outputs in odd places: behind symbolic links, in folders that cannot be written."""

import os
import stat

import pytest
from corpus_helpers import articles, build_quietly, write_dump

from lingraft.corpus import BuildConfig, build
from lingraft.errors import LingraftError

PAGES = [(f"Title {number}", "Some text here, with [[Title 1]].") for number in range(1, 30)]


def test_an_output_behind_a_symbolic_link_goes_where_it_leads_and_the_link_stays(tmp_path):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    disk = tmp_path / "big_disk"
    disk.mkdir()
    (tmp_path / "out").symlink_to(disk)
    build_quietly(tmp_path / "out", dump)
    assert (tmp_path / "out").is_symlink()
    assert articles(disk) == articles(tmp_path / "out")
    assert build_quietly(disk, dump)["counters"]["articles"] == 29  # found complete under its real name too


def test_overwrite_removes_a_link_inside_the_folder_and_not_what_it_leads_to(tmp_path):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    build_quietly(tmp_path / "out", dump)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    (tmp_path / "out" / "elsewhere").symlink_to(mine)
    build(BuildConfig(dump=dump, lang="en", names=["fr"], limit=3), tmp_path / "out", overwrite=True, quiet=True)
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert len(articles(tmp_path / "out")) == 3


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    (tmp_path / "out").symlink_to(tmp_path / "unmounted")
    with pytest.raises(LingraftError, match=r"cannot write to .*out(.|\n)*Choose another --out"):
        build_quietly(tmp_path / "out", dump)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a folder without permission")
def test_a_folder_that_became_read_only_keeps_what_was_done(tmp_path):
    dump = write_dump(tmp_path / "a.xml", PAGES)
    build_quietly(tmp_path / "out", dump)
    (tmp_path / "out" / "manifest.json").unlink()
    (tmp_path / "out").chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(LingraftError, match="Permission denied"):
        build_quietly(tmp_path / "out", dump)
    (tmp_path / "out").chmod(stat.S_IRWXU)
    assert build_quietly(tmp_path / "out", dump)["counters"]["articles"] == 29
