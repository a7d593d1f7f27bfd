"""The matrix itself: its form, the tests it names, and the command that reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ropewalk.cli import main
from ropewalk.lab.conformance import dangling, find_matrix, load_matrix
from ropewalk.lab.conformance.matrix import REASONS, RFCS, is_within
from ropewalk.lab.conformance.report import Coverage, as_markdown, cover, musts, update_page
from ropewalk.quic.types.errors import ConfigurationError, Unsupported

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "conformance"
PAGE = ROOT / "docs" / "conformance.md"

ENTRY = {
    "id": '"RFC9000-2.1-01"',
    "section": '"2.1"',
    "level": '"MUST NOT"',
    "who": '"both"',
    "text": '"Something."',
    "tests": '["tests/somewhere/test_a.py::test_it"]',
}
BEGINNING = 'rfc = 9000\n[sections]\n"2.1" = "Stream Types and Identifiers"\n'


def written(folder: Path, *entries: dict[str, str], beginning: str = BEGINNING) -> Path:
    """A matrix of one file."""
    folder.mkdir(exist_ok=True)
    text = beginning
    for entry in entries:
        lines = [f"{key} = {value}" for key, value in entry.items()]
        text += "[[requirement]]\n" + "\n".join(lines) + "\n"
    (folder / "rfc9000.toml").write_text(text)
    return folder


def without_tests(**named: str) -> dict[str, str]:
    return {**{key: value for key, value in ENTRY.items() if key != "tests"}, **named}


# -- ours


def test_the_matrix_is_well_formed_and_names_all_rfcs() -> None:
    matrix = load_matrix(FOLDER)
    assert {one.rfc for one in matrix.requirements} == set(RFCS)
    assert len(matrix.requirements) > 800
    assert set(matrix.titles) == {(one.rfc, one.section) for one in matrix.requirements}


def test_the_entries_of_a_section_are_numbered_from_1() -> None:
    sections: dict[tuple[int, str], list[str]] = {}
    for one in load_matrix(FOLDER).requirements:
        sections.setdefault((one.rfc, one.section), []).append(one.id)
    for ids in sections.values():
        assert [int(identifier[-2:]) for identifier in ids] == list(range(1, len(ids) + 1))


def test_every_named_test_exists_and_is_meant_to_pass() -> None:
    assert dangling(load_matrix(FOLDER), ROOT) == []


def test_no_entry_is_a_sentence_of_a_specification() -> None:
    for one in load_matrix(FOLDER).requirements:
        assert not re.search(r"\b(MUST|SHALL|SHOULD|RECOMMENDED|REQUIRED)\b", one.text), one.id
        assert len(one.text) < 200
        assert one.text.endswith(".")


def test_the_aim_is_reached() -> None:
    assert musts(load_matrix(FOLDER)).share >= 0.95


def test_the_page_tells_what_the_matrix_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert update_page(page, load_matrix(FOLDER)) == page, (
        "run `ropewalk conformance --update docs/conformance.md`"
    )


# -- the form


def test_a_matrix_is_read(tmp_path: Path) -> None:
    second = without_tests(id='"RFC9000-2.1-02"', reason='"not-built"', because='"it is not built"')
    matrix = load_matrix(written(tmp_path / "m", ENTRY, second))
    first, other = matrix.requirements
    assert (first.rfc, first.section, first.level, first.who) == (9000, "2.1", "MUST NOT", "both")
    assert (first.status, first.is_must) == ("proved", True)
    assert first.tests == ("tests/somewhere/test_a.py::test_it",)
    assert (other.status, other.because) == ("not-built", "it is not built")
    assert cover(matrix.requirements) == Coverage(proved=1, not_built=1)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({**ENTRY, "id": '"RFC9000-2.2-01"'}, "does not begin with RFC9000-2.1-"),
        ({**ENTRY, "id": '"RFC9000-2.1-1"'}, "does not begin"),
        ({**ENTRY, "level": '"MAY"'}, "`level` is not one of"),
        ({**ENTRY, "who": '"all"'}, "`who` is not one of"),
        ({**ENTRY, "text": '" "'}, "`text` must be text"),
        ({**ENTRY, "tests": "[]"}, "not empty"),
        ({**ENTRY, "tests": '["test_it"]'}, "is not the name of a test"),
        ({**ENTRY, "note": '"x"'}, "has the keys"),
        (without_tests(), "has the keys"),
        (without_tests(reason='"missing"'), "has the keys"),
        (without_tests(reason='"lazy"', because='"x"'), "`reason` is not one of"),
        ({**ENTRY, "section": '"2.9"', "id": '"RFC9000-2.9-01"'}, "the file lacks"),
    ],
)
def test_an_entry_of_a_wrong_form_is_refused(
    tmp_path: Path, entry: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_matrix(written(tmp_path / "m", entry))


@pytest.mark.parametrize(
    ("beginning", "words"),
    [
        ("rfc = 1\n[sections]\n", "must have `rfc`"),
        ("rfc = 9000\n", "must have `rfc`"),
        (BEGINNING + '"2.2" = "Empty"\n', "nothing is said of section 2.2"),
        (BEGINNING.replace("2.1", "x"), "needs a number and a title"),
        ("rfc = ", "is not TOML"),
    ],
)
def test_a_file_of_a_wrong_form_is_refused(tmp_path: Path, beginning: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_matrix(written(tmp_path / "m", ENTRY, beginning=beginning))


def test_an_id_stands_for_one_requirement(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        load_matrix(written(tmp_path / "m", ENTRY, ENTRY))


def test_a_section_is_in_one_file(tmp_path: Path) -> None:
    folder = written(tmp_path / "m", ENTRY)
    (folder / "rfc9000").mkdir()
    (folder / "rfc9000.toml").rename(folder / "rfc9000" / "a.toml")
    written(folder, {**ENTRY, "id": '"RFC9000-2.1-02"'})
    with pytest.raises(ConfigurationError, match="in another file"):
        load_matrix(folder)


def test_sections_are_parts_of_sections_by_their_numbers() -> None:
    assert is_within("5.1.2", "5.1")
    assert is_within("5.1", "5.1")
    assert not is_within("5.10", "5.1")
    assert is_within("5.10", "")


# -- the tests it names


@pytest.mark.parametrize(
    ("test", "why"),
    [
        ("tests/a/test_a.py::test_plain", None),
        ("tests/a/test_a.py::TestClass::test_inner", None),
        ("tests/a/test_a.py::test_rows[a row]", None),
        ("tests/a/test_a.py::test_rows[of a module]", None),
        ("tests/a/test_a.py::test_rows[a row@client]", None),
        ("tests/a/test_a.py::test_rows[no row@client]", "does not exist with that parameter"),
        ("tests/a/test_a.py::test_plain[a row]", "does not exist with that parameter"),
        ("tests/a/test_a.py::test_rows[no row]", "does not exist with that parameter"),
        ("tests/a/test_a.py::test_gone", "does not exist"),
        ("tests/a/test_b.py::test_plain", "does not exist"),
        ("tests/a/test_a.py::helper", "does not exist"),
        ("tests/a/test_a.py::test_some_day", "is expected to fail"),
    ],
)
def test_a_named_test_is_looked_for(tmp_path: Path, test: str, why: str | None) -> None:
    (tmp_path / "tests" / "a").mkdir(parents=True)
    (tmp_path / "tests" / "a" / "test_a.py").write_text(
        "import pytest\n"
        "from ropewalk.lab.table import ROWS\n"
        "def helper(): ...\n"
        "def test_plain(): ...\n"
        "class TestClass:\n    def test_inner(self): ...\n"
        "@pytest.mark.parametrize('row', ['a row', *ROWS])\ndef test_rows(row): ...\n"
        "@pytest.mark.xfail(strict=True)\ndef test_some_day(): ...\n"
    )
    (tmp_path / "src" / "ropewalk" / "lab").mkdir(parents=True)
    (tmp_path / "src" / "ropewalk" / "lab" / "table.py").write_text("ROWS = ['of a module']\n")
    matrix = load_matrix(written(tmp_path / "conformance", {**ENTRY, "tests": f"['{test}']"}))
    assert [one.why for one in dangling(matrix, tmp_path)] == ([] if why is None else [why])


# -- the command


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["conformance", *arguments])
    return result.exit_code, result.output


def test_the_command_shows_coverage_by_section_and_level() -> None:
    code, output = run("--rfc", "9000", "--section", "10.3")
    assert code == 0
    assert "RFC 9000" in output
    assert re.search(r"10\.3\.3 +Looping +MUST 1/1", output)
    assert "RFC 9114" not in output
    assert "10.2" not in output


def test_the_command_lists_what_is_missing(tmp_path: Path) -> None:
    lacking = without_tests(reason='"missing"', because='"nobody wrote it"')
    code, output = run("--matrix", str(written(tmp_path / "m", lacking)), "--missing")
    assert code == 0
    assert "RFC9000-2.1-01  MUST NOT  both" in output
    assert "nobody wrote it" in output


def test_the_command_prints_json() -> None:
    code, output = run("--rfc", "9204", "--json")
    assert code == 0
    told = json.loads(output)
    assert set(told["coverage"]) == {"9204"}
    assert told["coverage"]["9204"]["must"]["testable"] > 20
    assert {one["status"] for one in told["requirements"]} <= {"proved", *REASONS}


def test_the_command_fails_on_a_test_that_is_gone(tmp_path: Path) -> None:
    code, output = run("--matrix", str(written(tmp_path / "m", ENTRY)))
    assert code == 1
    assert "RFC9000-2.1-01 names tests/somewhere/test_a.py::test_it" in output
    assert "1 tests that the matrix names prove nothing" in output


def test_a_section_without_requirements_is_a_wrong_call() -> None:
    code, output = run("--section", "99")
    assert code == 2
    assert "no requirement" in output


def test_the_command_writes_a_page_of_the_documentation(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8").replace("| all |", "| old |"))
    code, _ = run("--update", str(page))
    assert code == 0
    assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
    page.write_text("nothing to write into")
    code, output = run("--update", str(page))
    assert code == 2
    assert "to write between" in output


def test_the_matrix_is_found_from_below_and_told_when_it_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "conformance", ENTRY)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_matrix(below) == folder
    monkeypatch.setattr(
        "ropewalk.lab.conformance.matrix.__file__", "/nowhere/site-packages/ropewalk/matrix.py"
    )
    (folder / "rfc9000.toml").unlink()
    with pytest.raises(Unsupported, match="run this in a checkout"):
        find_matrix(Path("/"))


def test_the_table_has_a_row_for_each_section(tmp_path: Path) -> None:
    text = as_markdown(load_matrix(written(tmp_path / "m", ENTRY)))
    assert "| 9000 | 1 / 1 (100.0 %) |" in text
    assert "| 2.1 | Stream Types and Identifiers | 1 / 1 |" in text
