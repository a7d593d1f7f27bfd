"""The matrix itself: its form, the tests it names, and the command that reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from ropewalk.cli import main
from ropewalk.lab.conformance import (
    collection,
    dangling,
    find_matrix,
    load_matrix,
    plugin,
    suite,
    suite_of,
)
from ropewalk.lab.conformance.collection import Collection
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
    # The one test that has pytest collect all of the files: seconds.
    matrix = load_matrix(FOLDER)
    found = suite_of(matrix, ROOT)
    assert found.caveat == ""
    assert dangling(matrix, found) == []


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
    coverage = cover(matrix.requirements)
    assert coverage == Coverage(proved=1, not_built=1)
    assert (coverage.share, coverage.share_of_due) == (1.0, 0.5)


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

TREE = {
    "tests/a/test_a.py": """
        import pytest
        from ropewalk.lab.table import ROWS

        def helper(): ...
        def test_plain(): ...
        class TestClass:
            def test_inner(self): ...
        @pytest.mark.parametrize("row", ["a row", ROWS[0]])
        @pytest.mark.parametrize("victim", ["client", "server"])
        def test_rows(row, victim): ...
        @pytest.mark.parametrize("row", [pytest.param(1, marks=pytest.mark.xfail), 2])
        def test_half(row): ...
        @pytest.mark.parametrize("row", [])
        def test_empty(row): ...
        @pytest.mark.xfail(strict=True)
        def test_some_day(): ...
        @pytest.mark.skip
        def test_not_now(): ...
        @pytest.mark.skipif(True, reason="it rains")
        def test_not_here(): ...
        @pytest.mark.skipif(False, reason="the sun shines")
        @pytest.mark.xfail(False, reason="no need")
        def test_in_spite_of_marks(): ...
    """,
    "tests/a/test_skipped.py": """
        import pytest
        pytest.importorskip("a_module_that_nobody_has")
        def test_plain(): ...
    """,
    "tests/a/test_broken.py": """
        import a_module_that_nobody_has
        def test_plain(): ...
    """,
    "src/ropewalk/lab/table.py": """
        ROWS = ["of a module"]
    """,
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with tests of all kinds, and a module that they take their rows from."""
    for name, text in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return tmp_path


def without_the_module(tree: Path) -> None:
    """For pytest, which imports and would not find it: the row is written out."""
    file = tree / "tests" / "a" / "test_a.py"
    import_line = "from ropewalk.lab.table import ROWS"
    file.write_text(file.read_text().replace(import_line, 'ROWS = ["of a module"]'))


#: What is said of a test when pytest is asked, and when its file is read.
ANSWERS = [
    ("test_a.py::test_plain", "", ""),
    ("test_a.py::TestClass::test_inner", "", ""),
    ("test_a.py::test_rows", "", ""),
    ("test_a.py::test_rows[client-a row]", "", ""),
    ("test_a.py::test_rows[server-of a module]", "", ""),
    (
        "test_a.py::test_rows[client-no row]",
        "does not exist with that parameter: there are [client-a row], ",
        "does not exist with that parameter",
    ),
    ("test_a.py::test_rows[client]", "does not exist with that parameter: there are", ""),
    ("test_a.py::test_plain[a row]", "only without", "does not exist with that parameter"),
    ("test_a.py::test_half", "is expected to fail", ""),
    ("test_a.py::test_half[1]", "is expected to fail", ""),
    ("test_a.py::test_half[2]", "", ""),
    ("test_a.py::test_empty", "is skipped (got empty parameter set", ""),
    ("test_a.py::test_some_day", "is expected to fail", "is expected to fail"),
    ("test_a.py::test_not_now", "is skipped", "is skipped"),
    ("test_a.py::test_not_here", "is skipped here (it rains)", ""),
    ("test_a.py::test_gone", "does not exist", "does not exist"),
    ("test_b.py::test_plain", "does not exist", "does not exist"),
    ("test_a.py::helper", "does not exist", "does not exist"),
    ("test_skipped.py::test_plain", "which is skipped (could not import", ""),
    ("test_broken.py::test_plain", "which cannot be collected (ModuleNotFoundError", ""),
]


def asked(suite: suite.Suite) -> dict[str, str]:
    return {name: suite.flaw(f"tests/a/{name}") for name, _, _ in ANSWERS}


def test_named_tests_are_held_against_those_that_pytest_collects(tree: Path) -> None:
    without_the_module(tree)
    entries = {**ENTRY, "tests": str([f"tests/a/{name}" for name, _, _ in ANSWERS])}
    matrix = load_matrix(written(tree / "conformance", entries))
    found = suite_of(matrix, tree)
    assert found.caveat == ""
    told = asked(found)
    for name, flaw, _ in ANSWERS:
        assert flaw in told[name], name
        assert bool(flaw) == bool(told[name]), (name, told[name])
    assert [one.test for one in dangling(matrix, found)] == [
        f"tests/a/{name}" for name, flaw, _ in ANSWERS if flaw
    ]


def test_the_files_as_they_are_written_have_all_that_is_named() -> None:
    # Reading takes what pytest refuses, but refuses nothing that pytest takes.
    assert dangling(load_matrix(FOLDER), suite.WrittenSuite(ROOT)) == []


def test_without_pytest_the_files_are_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "has_pytest", lambda: False)
    matrix = load_matrix(written(tree / "conformance", ENTRY))
    found = suite_of(matrix, tree)
    assert "pytest is not installed" in found.caveat
    assert asked(found) == {name: flaw for name, _, flaw in ANSWERS}
    code, output = run("--matrix", str(tree / "conformance"))
    assert code == 1
    assert "pytest is not installed" in output


def test_a_collection_that_gives_no_answer_says_why(tree: Path) -> None:
    (tree / "conftest.py").write_text("import a_module_that_nobody_has\n")
    with pytest.raises(Unsupported, match=r"a_module_that_nobody_has.*tells more"):
        collection.collect(tree, ["tests/a/test_a.py"])


def test_a_collection_that_hangs_is_given_up(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "PATIENCE", 0.001)
    with pytest.raises(Unsupported, match="wait for something"):
        collection.collect(tree, ["tests/a/test_a.py"])


def test_the_settings_of_another_run_do_not_count(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_the_module(tree)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing --no-such-option")
    found = collection.collect(tree, ["tests/a/test_a.py"])
    assert found.cases["tests/a/test_a.py::test_plain"] == ""


def test_marks_have_conditions(request: pytest.FixtureRequest) -> None:
    item = request.node
    assert plugin.flaw_of(item) == ""
    item.add_marker(pytest.mark.xfail(condition=False, reason="no need"))
    assert plugin.flaw_of(item) == ""
    collected = Collection({"t.py::test_a[1]": "", "t.py::test_a[2]": "is skipped"})
    assert collected.flaw("t.py::test_a[1]") == ""
    assert collected.flaw("t.py::test_a") == "is skipped"


# -- the command


@pytest.fixture
def as_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the matrix names is there: that is looked at above, once."""
    named = {test: "" for one in load_matrix(FOLDER).requirements for test in one.tests}
    monkeypatch.setattr(suite, "collect", lambda root, files: Collection(named))


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["conformance", *arguments])
    return result.exit_code, result.output


@pytest.mark.usefixtures("as_collected")
def test_the_command_shows_coverage_by_section_and_level() -> None:
    code, output = run("--rfc", "9000", "--section", "10.3")
    assert code == 0
    assert "RFC 9000" in output
    assert re.search(r"10\.3\.3 +Looping +MUST 1/1", output)
    assert re.search(r"(\d+) of \1 testable and built ones are proved \(100.0 %\)", output)
    assert "RFC 9114" not in output
    assert "10.2" not in output


@pytest.mark.usefixtures("as_collected")
def test_the_command_tells_what_share_is_proved_with_what_is_not_built() -> None:
    code, output = run()
    assert code == 0
    assert re.search(r"\d+ of \d+ with those that are not built \(\d+\.\d %\)", output)


def test_the_command_lists_what_is_missing(tmp_path: Path) -> None:
    lacking = without_tests(reason='"missing"', because='"nobody wrote it"')
    code, output = run("--matrix", str(written(tmp_path / "m", lacking)), "--missing")
    assert code == 0
    assert "RFC9000-2.1-01  MUST NOT  both" in output
    assert "nobody wrote it" in output


@pytest.mark.usefixtures("as_collected")
def test_the_command_prints_json() -> None:
    code, output = run("--rfc", "9204", "--json")
    assert code == 0
    told = json.loads(output)
    assert set(told["coverage"]) == {"9204"}
    must = told["coverage"]["9204"]["must"]
    assert must["testable"] > 20
    assert must["share_with_not_built"] < must["share"] == 1
    assert {one["status"] for one in told["requirements"]} <= {"proved", *REASONS}


def test_the_command_fails_on_a_test_that_is_gone(tmp_path: Path) -> None:
    code, output = run("--matrix", str(written(tmp_path / "m", ENTRY)))
    assert code == 1
    assert "RFC9000-2.1-01 names tests/somewhere/test_a.py::test_it" in output
    assert "tests that the matrix names and that prove nothing: 1" in output


def test_a_section_without_requirements_is_a_wrong_call() -> None:
    code, output = run("--section", "99")
    assert code == 2
    assert "no requirement" in output


@pytest.mark.usefixtures("as_collected")
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
    assert "| 9000 | 1 / 1 (100.0 %) | 1 / 1 (100.0 %) |" in text
    assert "| 2.1 | Stream Types and Identifiers | 1 / 1 |" in text
