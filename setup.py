"""Builds the sans-IO core with mypyc; everything else about the package is in pyproject.toml.

Three outcomes, and the installed package tells which one it is (``ropewalk --version``):

* compiled: the default;
* interpreted, because ``ROPEWALK_PURE=1`` asked for it;
* interpreted, because there is no C compiler or there are no Python headers. One line says so.

A compiler that is there but fails is an error, never a silent fallback.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SOURCE = ROOT / "src"
#: Packages that are compiled, all in one group: a native call ends at a group's border.
COMPILED = ("ropewalk/observe", "ropewalk/quic", "ropewalk/http3", "ropewalk/sim")
#: Modules of these packages that stay interpreted: they wait for an event loop, and mypyc has
#: no asynchronous generators.
ASYNCHRONOUS = {f"ropewalk/sim/{name}.py" for name in ("carrier", "provider", "pump")}
NOTE = "ropewalk/_build_note.txt"
JOBS = os.cpu_count() or 1


def why_not_compiled() -> str:
    """The reason for an interpreted build, or "" when this machine can compile."""
    if os.environ.get("ROPEWALK_PURE", "") not in ("", "0"):
        return "ROPEWALK_PURE was set when it was installed"
    if sys.implementation.name != "cpython":
        return f"mypyc builds for CPython only, this is {sys.implementation.name}"
    if os.name != "posix":
        return ""  # where MSVC lives is setuptools' knowledge; it reports what is missing
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    if shutil.which(compiler[0]) is None:
        return f"no C compiler ({compiler[0]}) was found when it was installed"
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").exists():
        return f"no Python headers ({include}/Python.h) were found when it was installed"
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.c")
        probe.write_text("#include <Python.h>\nint main(void) { return 0; }\n")
        command = [*compiler, "-fPIC", f"-I{include}", "-c", str(probe), "-o", f"{probe}.o"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line] or [
            "it did not say why"
        ]
        return f"the C compiler failed on Python's headers when it was installed: {said[0]}"
    return ""


def compiled_group() -> list[Extension]:
    """The extension modules: one shared library and a small shim for each module."""
    from mypyc.build import mypycify

    files = sorted(
        path.relative_to(ROOT).as_posix()
        for package in COMPILED
        for path in (SOURCE / package).rglob("*.py")
        if path.relative_to(SOURCE).as_posix() not in ASYNCHRONOUS
    )
    tag = sys.implementation.cache_tag
    extensions: list[Extension] = mypycify(
        [
            "--config-file=",  # strictness is the lint's business, and it has its own switches
            f"--cache-dir=build/mypy-{tag}",
            f"--python-executable={sys.executable}",
            # Ancestor packages are read for their types; their errors are the lint's business.
            "--follow-imports=silent",
            *files,
        ],
        opt_level="3",
        debug_level="0",
        multi_file=True,
        target_dir=f"build/c-{tag}",
        # Fixed, because mypyc's own is a hash that changes with every new module and would
        # leave one stale library behind for each. (A dotted name breaks its #includes.)
        group_name="ropewalk_core",
    )
    if os.name == "posix":
        for extension in extensions:
            # Fused multiplications and additions (the default on ARM) round once where Python
            # rounds twice, and simulations of both builds would drift apart.
            extension.extra_compile_args.append("-ffp-contract=off")
    return extensions


class BuildExtensions(build_ext):
    """Compiles the files of the one big extension side by side, and only those that changed.

    setuptools runs extensions in parallel, but the files of one extension in turn, and all
    of them again whenever one has changed.
    """

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "unix":
            self.compiler.compile = self._compile_changed
            self.parallel = JOBS  # the shims
        super().build_extensions()

    def _compile_changed(  # the signature is distutils'
        self,
        sources,
        output_dir=None,
        macros=None,
        include_dirs=None,
        debug=False,
        extra_preargs=None,
        extra_postargs=None,
        depends=None,
    ):
        compiler = self.compiler
        macros, objects, extra_postargs, pp_opts, build = compiler._setup_compile(
            output_dir, macros, include_dirs, sources, depends, extra_postargs
        )
        cc_args = compiler._get_cc_args(pp_opts, debug, extra_preargs)
        common = hashlib.sha256(repr((compiler.compiler_so, cc_args, extra_postargs)).encode())
        for header in sorted(depends or ()):
            common.update(Path(header).read_bytes())

        def one(target: str) -> None:
            source, extension = build[target]
            digest = common.copy()
            digest.update(Path(source).read_bytes())
            stamp = Path(f"{target}.sha256")
            if Path(target).exists() and stamp.exists() and stamp.read_text() == digest.hexdigest():
                return
            stamp.unlink(missing_ok=True)
            compiler._compile(target, source, extension, cc_args, extra_postargs, pp_opts)
            stamp.write_text(digest.hexdigest())

        with ThreadPoolExecutor(JOBS) as pool:
            # The largest first, so that no core waits for one long file at the end.
            ordered = sorted(build, key=lambda target: -os.path.getsize(build[target][0]))
            list(pool.map(one, ordered))
        return objects


class BuildPython(build_py):
    """Adds the note that tells why a build is interpreted, and clears what the source lost."""

    def run(self) -> None:
        self._prune()
        super().run()
        note = Path(self.build_lib, NOTE)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(REASON)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), str(Path(self.build_lib, NOTE))]

    def _prune(self) -> None:
        """A module deleted from the source must not live on in the build folder."""
        built = Path(self.build_lib)
        for path in [*built.rglob("*.py"), *built.rglob("*.so"), *built.rglob("*.pyd")]:
            module = path.relative_to(built).with_name(path.name.split(".")[0])
            if (
                module.name != "ropewalk_core__mypyc"
                and not (SOURCE / module).with_suffix(".py").exists()
            ):
                path.unlink()


REASON = why_not_compiled()
if REASON:
    print(f"ropewalk: building interpreted, which is several times slower: {REASON}")

#: Commands that ask for metadata only; the core need not be translated for them.
ASKED_ONLY = {"dist_info", "egg_info", "sdist", "clean"} & set(sys.argv)

os.chdir(ROOT)
setup(
    ext_modules=[] if REASON or ASKED_ONLY else compiled_group(),
    cmdclass={"build_ext": BuildExtensions, "build_py": BuildPython},
)
