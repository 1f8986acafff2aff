"""Who may import whom, and the checks of the whole tree that every change must pass."""

import ast
import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

CORE_THIRD_PARTY = {"numpy", "scipy"}
SETTINGS = {"msgspec"}  # they come from outside and are checked on the way in
MORE_ALLOWED = {"protocol.py": SETTINGS, "protocol_tables.py": SETTINGS}
OUTSIDE_WORLD = {
    "asyncio", "concurrent", "datetime", "http", "logging", "multiprocessing", "selectors", "signal",
    "socket", "sqlite3", "ssl", "subprocess", "threading", "time", "urllib",
}  # fmt: skip
HEAVY = {"matplotlib", "mne", "pandas", "PySide6", "pyqtgraph", "scipy"}
CLOCK_READERS = {"sources", "sinks", "engine", "cli", "bench"}


def layers() -> list[list[str]]:
    """Modules per layer, highest first, as the import contract names them."""
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    contract = next(contract for contract in contracts if contract["id"] == "layers")
    return [
        [name.strip(" ()") for name in layer.replace("|", ":").split(":")] for layer in contract["layers"]
    ]


def files_of(module: str) -> list[Path]:
    return [*ROOT.glob(f"ionm/{module}.py"), *sorted(ROOT.glob(f"ionm/{module}/**/*.py"))]


def core_files() -> list[Path]:
    """Every file from the lowest layer up to the session."""
    names = layers()
    session = next(i for i, layer in enumerate(names) if "session" in layer)
    return [path for layer in names[session:] for module in layer for path in files_of(module)]


def imports(path: Path) -> Iterator[str]:
    """Top-level names of the packages that a file imports, at any depth of the code."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def passes(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False)

    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_the_core_imports_no_third_party_package_but_numpy_and_scipy() -> None:
    allowed = CORE_THIRD_PARTY | set(sys.stdlib_module_names) | {"ionm"}

    foreign = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in core_files()
        for name in set(imports(path)) - allowed - MORE_ALLOWED.get(path.name, set())
    }

    assert not foreign


def test_the_core_knows_no_clock_no_thread_no_log_and_no_network() -> None:
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in core_files()
        for name in OUTSIDE_WORLD.intersection(imports(path))
    }

    assert not found


def test_only_sources_sinks_engine_and_command_line_ask_the_time() -> None:
    free = {path for module in CLOCK_READERS for path in files_of(module)}

    found = {
        str(path.relative_to(ROOT))
        for path in set(ROOT.glob("ionm/**/*.py")) - free
        if {"time", "datetime"}.intersection(imports(path))
    }

    assert not found


def test_nothing_in_ionm_imports_the_viewer() -> None:
    found = {path.name for path in ROOT.glob("ionm/**/*.py") if "ionm_viewer" in imports(path)}

    assert not found


def test_importing_ionm_loads_no_heavy_library() -> None:
    code = "import sys, ionm; print(*{name.split('.')[0] for name in sys.modules})"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert HEAVY.isdisjoint(done.stdout.split())


def test_every_module_imports_only_from_the_layers_below_it() -> None:
    passes(tool("lint-imports"), "--no-cache")


@pytest.mark.timeout(300)  # mypy without its cache, on a slow machine
def test_the_types_are_strictly_consistent() -> None:
    passes(sys.executable, "-m", "mypy")


def test_the_linter_has_nothing_to_say() -> None:
    passes(sys.executable, "-m", "ruff", "check", "--no-cache", ".")


def test_the_code_is_formatted() -> None:
    passes(sys.executable, "-m", "ruff", "format", "--check", "--no-cache", ".")


def test_the_lock_names_no_host_and_gives_every_package_a_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pins = [
        entry
        for entry in lock.replace("\\\n", " ").splitlines()
        if entry and not entry.lstrip().startswith("#")
    ]

    assert "://" not in lock
    assert not [entry for entry in pins if entry.startswith("-")], "the lock names an index or a folder"
    assert not [entry for entry in pins if "==" not in entry or "--hash=sha256:" not in entry]


def test_the_lock_holds_what_the_build_and_the_package_ask_for() -> None:
    project = PYPROJECT["project"]
    wanted = [
        *PYPROJECT["build-system"]["requires"],
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
    ]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    locked = {line.split("==")[0] for line in lock.splitlines() if "==" in line}

    assert PYPROJECT["dependency-groups"]["build"] == PYPROJECT["build-system"]["requires"]
    assert {name.split(">")[0].lower() for name in wanted} <= locked


def test_the_viewer_is_found_as_a_package_of_its_own() -> None:
    spec = importlib.util.find_spec("ionm_viewer")

    assert spec is not None
    assert spec.origin == str(ROOT / "viewer/ionm_viewer/__init__.py")
