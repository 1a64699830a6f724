"""Small folders of Bibles, NLLB-Seed and treebanks, written as the real ones are."""

import gzip
import hashlib
import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path

NOT_COMPARED = {"manifest.json", "request.json", "log.jsonl", "lock"}
PACK = {".gz": gzip.compress, ".xz": lzma.compress}


def write(path: Path, text: str) -> Path:
    """Write text, packed as the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PACK.get(path.suffix, bytes)(text.encode()))
    return path


def bible(name: str, code: str, verses: Mapping[str, str], *, indented: bool = True) -> str:
    """One language of the Bible corpus: indented as most, or with text on the line of its tag as K'iche' has it."""
    space = "\n\t\t" if indented else ""
    segments = "\n".join(f'<seg id="{key}" type="verse">{space}{text}{space}</seg>' for key, text in verses.items())
    return (
        f'<?xml version="1.0" ?>\n<cesDoc version="4"><cesHeader version="2"><profileDesc><langUsage>'
        f'<language id="xx" iso639="{code}">{space}{name}{space}</language></langUsage></profileDesc></cesHeader>\n'
        f'<text><body id="Bible" lang="xx"><div id="b.MAT" type="book">\n{segments}\n</div></body></text></cesDoc>\n'
    )


def verses(language: str, number: int) -> dict[str, str]:
    """Verses b.MAT.1.1 and on, each with words of its own."""
    return {
        f"b.MAT.{place // 20 + 1}.{place % 20 + 1}": f"{language} verse number {place} of it" for place in range(number)
    }


def conllu(sentences: Sequence[tuple[str, str]]) -> str:
    """A treebank of (sent_id, text); each word a row."""
    blocks = []
    for identity, text in sentences:
        rows = [f"{place}\t{word}" + "\t_" * 8 for place, word in enumerate(text.split(), start=1)]
        blocks.append("\n".join([f"# sent_id = {identity}", f"# text = {text}", *rows, "", ""]))
    return "".join(blocks)


def small_folders(folder: Path, number: int = 120) -> dict[str, Path]:
    """The three folders: Swahili, K'iche' and Mam Bibles, Seed in Bambara and Guarani, five treebanks."""
    write(folder / "bible" / "Swahili-NT.xml.xz", bible("Swahili", "ssw", verses("swh", number)))
    write(folder / "bible" / "K'iche'-NT.xml", bible("K'iche'", "quc", verses("quc", number), indented=False))
    write(folder / "bible" / "Mam-NT.xml.gz", bible("Mam", "mam", verses("mam", number - 7)))
    write(folder / "bible" / "LICENSE", "CC0 1.0 Universal\n")
    english = [f"The {place}th sentence, of Seed." for place in range(number)]
    for code, order in (("bam_Latn", 1), ("grn_Latn", -1)):
        pair = folder / "seed" / "-".join(sorted(["eng_Latn", code]))
        write(pair / "eng_Latn.xz", "\n".join(english[::order]) + "\n")
        write(pair / f"{code}.xz", "\n".join(f"{code} {line}" for line in english[::order]) + "\n")
    pud = [f"n{place:03d}" for place in range(number)]
    for treebank, sentences in {
        "UD_Turkish-PUD/tr_pud-ud-test.conllu.xz": [(key, f"cümle {key} burada") for key in pud],
        "UD_Thai-PUD/th_pud-ud-test.conllu": [(key, f"ประโยค {key} นี้") for key in pud],
        "UD_Kiche-IU/quc_iu-ud-test.conllu": [(f"s{place}", f"kʼakʼ ri {place} abʼ") for place in range(number)],
        "UD_Manx-Cadhan/gv_cadhan-ud-train.conllu": [(f"s{place}", f"ta {place} ayn") for place in range(number)],
    }.items():
        write(folder / "ud" / treebank, conllu(sentences))
    write(folder / "ud" / "UD_Thai-PUD" / "LICENSE.txt", "https://creativecommons.org/licenses/by-sa/3.0/\n")
    return {"bible": folder / "bible", "seed": folder / "seed", "ud": folder / "ud"}


def digest(out: Path) -> dict[str, str]:
    """Hashes of all files that a run makes, by their names."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in NOT_COMPARED
    }
