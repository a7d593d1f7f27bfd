"""Runs fuzz targets under atheris: ``python -m fuzz.run [TARGET...] [--seconds N]``.

Findings are kept in ``fuzz/findings/TARGET/``; ``python -m fuzz.run TARGET --replay FILE`` runs
one of them again, with or without atheris.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fuzz.seeds import TARGETS, harness, seeds

_HERE: Final = Path(__file__).parent
#: Grows from run to run and may be deleted.
_CORPUS: Final = _HERE / "corpus"
_FINDINGS: Final = _HERE / "findings"
_LONGEST_INPUT: Final = 4096
#: Seconds for one input, after which it counts as a finding.
_SLOWEST_INPUT: Final = 20
_UNSUPPORTED: Final = (
    "Unsupported: atheris is not installed. It has wheels for CPython 3.11 to 3.13 on Linux "
    "only; name one of them: make fuzz PYTHON=/path/to/python3.11"
)


def main() -> int:
    """Run all targets, or those that are named; each in a process of its own."""
    options = _options()
    targets: list[str] = options.targets or list(TARGETS)
    if options.replay is not None:
        for target in targets:
            harness(target)(Path(options.replay).read_bytes())
        print(f"{options.replay}: nothing is wrong with it")
        return 0
    if find_spec("atheris") is None:
        print(_UNSUPPORTED, file=sys.stderr)
        return 2
    if options.child:
        _fuzz(targets[0], options.seconds)
        return 0
    return _run_each(targets, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="how long for each target")
    parser.add_argument("--replay", metavar="FILE", help="run one input, without atheris")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _run_each(targets: list[str], seconds: int) -> int:
    failed = []
    for target in targets:
        print(f"{target}: {seconds} seconds", flush=True)
        findings = _FINDINGS / target
        before = set(findings.glob("*")) if findings.exists() else set()
        # Constant arguments, and this very interpreter.
        command = [sys.executable, "-m", "fuzz.run", target, "--seconds", str(seconds), "--child"]
        code = subprocess.run(command, cwd=_HERE.parent, check=False).returncode  # noqa: S603
        new = sorted(set(findings.glob("*")) - before) if findings.exists() else []
        for finding in new:
            file = finding.relative_to(_HERE.parent)
            print(f"{target}: replay with\n  python -m fuzz.run {target} --replay {file}")
        if code or new:
            failed.append(target)
    print(f"{len(targets)} targets, findings in {failed}" if failed else "nothing was found")
    return 1 if failed else 0


def _fuzz(target: str, seconds: int) -> None:
    """Fuzz one target in this process; atheris ends it."""
    import atheris

    with atheris.instrument_imports(include=["ropewalk"]):
        fuzz = harness(target)
    corpus = _CORPUS / target
    findings = _FINDINGS / target
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for index, seed in enumerate(seeds(target)):
        (corpus / f"seed-{index:03d}").write_bytes(seed)
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST_INPUT}",
        f"-timeout={_SLOWEST_INPUT}",
        f"-artifact_prefix={findings}{os.sep}",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    atheris.Setup(arguments, fuzz)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
