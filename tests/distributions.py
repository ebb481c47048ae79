"""The sdist and the wheel: what is in them, and that they are the same wherever they are built.

`tox -e package` gives this file to pytest by name: no other test builds anything.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

import hatchling.build
import pytest

ROOT = Path(__file__).parents[1]
VERSION = re.findall(
    r'__version__ = "(.+)"', (ROOT / "src/agents_sandbox/_version.py").read_text("utf-8")
)[0]
STEM = f"agents_sandbox-{VERSION}"

ORIGIN = "src/agents_sandbox/_async"
TWIN = "src/agents_sandbox/_sync_generated"
TESTS_ORIGIN = "tests/_async"
TESTS_TWIN = "tests/_sync_generated"
PACKAGES = ("agents_sandbox", "pytest_agents_sandbox")

# Each file of the sdist matches one of these, and each of these has a file.
IN_THE_SDIST = [
    r"PKG-INFO|pyproject\.toml|build_sync\.py|tox\.ini|LICENSE",
    r"README\.md",
    r"CHANGELOG\.md",
    r"CONTRIBUTING\.md",
    r"SECURITY\.md",
    r"\.pre-commit-config\.yaml",
    r"\.gitignore",  # tells the build what is generated
    r"src/(_incomplete|agents_sandbox|pytest_agents_sandbox)/(\w+/)*\w+\.py",
    r"src/agents_sandbox/py\.typed",
    r"src/pytest_agents_sandbox/py\.typed",
    r"src/agents_sandbox/_wire/\w+_pb2\.pyi",
    r"tests/(?!_sync_generated/)(\w+/)*\w+\.py",
    r"tests/public_api\.txt",
    r"tests/contract/transcripts/(README\.md|v[\d.]+/\w+\.json)",
    r"docs/([\w-]+/)*[\w-]+\.(css|dot|js|md|py|svg)",
    r"examples/([\w-]+/)*[\w-]+\.(ini|ipynb|md|py|toml|txt|yaml|yml)",
    r"benchmarks/(\w+/)*\w+\.(json|md|py|svg)",
    r"proto/(\w+/)*\w+\.(proto|py)",
]

# Nothing of this is packed, wherever it lies.
LEFTOVERS = [
    *("notes.txt", "agents_sandbox.log", ".env", ".coverage.host.1", "dist/old.whl", ".tox/x.py"),
    *(".build_sync-1/x.py", "agents_sandbox.egg-info/PKG-INFO", ".mypy_cache/x.json"),
    *("src/agents_sandbox/__pycache__/x.cpython-311.pyc", "tests/.pytest_cache/x"),
    *(f"{TESTS_TWIN}/test_orphan.py", f"{TWIN}/_orphan.py", ".git/config"),
]

# The build backend alone, which may start no program and use no network.
BUILD = """
import sys
from hatchling import build

def refuse(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn")):
        raise RuntimeError(f"the build asks for {event}{arguments}")

sys.addaudithook(refuse)
build.build_sdist(sys.argv[1])
build.build_wheel(sys.argv[1])
"""


@dataclass(frozen=True)
class Build:
    """A folder with an sdist and a wheel."""

    folder: Path

    @property
    def sdist(self) -> Path:
        return self.folder / f"{STEM}.tar.gz"

    @property
    def wheel(self) -> Path:
        return self.folder / f"{STEM}-py3-none-any.whl"

    def unpack_sdist(self, folder: Path) -> Path:
        with tarfile.open(self.sdist) as archive:
            archive.extractall(folder, filter="data")
        return folder / STEM

    def sdist_files(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            return {name.removeprefix(f"{STEM}/") for name in archive.getnames()}

    def wheel_files(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return {*archive.namelist()}

    def metadata(self) -> Message:
        with zipfile.ZipFile(self.wheel) as archive:
            return BytesParser().parsebytes(archive.read(f"{STEM}.dist-info/METADATA"))


def build(project: Path, folder: Path, *, umask: int = 0o022, **variables: str) -> Build:
    """Build a project with no program in reach; the variables are those of the environment."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        cwd=project,
        env={"PATH": str(folder / "nowhere"), **variables},
        umask=umask,
        check=True,
    )
    assert {path.name for path in folder.iterdir()} == {f"{STEM}.tar.gz", Build(folder).wheel.name}
    return Build(folder)


def python_files(folder: str) -> set[str]:
    """The relative names of the Python files below a folder of this project."""
    paths = (ROOT / folder).rglob("*.py")
    return {path.relative_to(ROOT / folder).as_posix() for path in paths}


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """What this project's folder builds."""
    return build(ROOT, tmp_path_factory.mktemp("built") / "here")


@pytest.fixture
def project(built: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The unpacked sdist, which becomes the working folder."""
    folder = built.unpack_sdist(tmp_path)
    monkeypatch.chdir(folder)
    return folder


def test_the_sdist_has_what_belongs_there_and_nothing_else(built: Build) -> None:
    files = built.sdist_files()
    assert [name for name in files if not any(re.fullmatch(p, name) for p in IN_THE_SDIST)] == []
    assert [p for p in IN_THE_SDIST if not any(re.fullmatch(p, name) for name in files)] == []
    ours = {
        f"{folder}/{name}"
        for folder in ("benchmarks", "examples", "proto", "src", "tests")
        for name in python_files(folder)
    }
    python = {name for name in files if name.endswith(".py") and not name.startswith("docs/")}
    assert python - {"build_sync.py"} == {one for one in ours if not one.startswith(TESTS_TWIN)}


def test_the_wheel_has_what_belongs_there_and_nothing_else(built: Build) -> None:
    modules = {f"{one}/{name}" for one in PACKAGES for name in python_files(f"src/{one}")}
    twin = {name for name in modules if name.startswith("agents_sandbox/_sync_generated/")}
    origin = {f"agents_sandbox/_sync_generated/{name}" for name in python_files(ORIGIN)}
    messages = {name for name in modules if name.endswith("_pb2.py")}
    facts = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    assert twin == origin
    assert messages
    assert built.wheel_files() == {
        *modules,
        *(f"{name}i" for name in messages),
        *(f"{package}/py.typed" for package in PACKAGES),
        "agents_sandbox.py",  # beside the package, in case that loses its `__init__`
        *(f"{STEM}.dist-info/{name}" for name in facts),
    }


def test_every_build_is_the_same_to_the_byte(built: Build, project: Path, tmp_path: Path) -> None:
    def contents(one: Build) -> tuple[bytes, bytes]:
        return one.sdist.read_bytes(), one.wheel.read_bytes()

    elsewhere = build(project, tmp_path / "elsewhere", umask=0o077, TZ="Asia/Tokyo")
    assert contents(elsewhere) == contents(built)
    # Once more, with twins that are generated anew and whatever work leaves behind.
    for twin in (TWIN, TESTS_TWIN):
        for path in (project / twin).rglob("*.py"):
            path.unlink()
    for name in LEFTOVERS:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("left = True\n", "utf-8")
    again = build(project, tmp_path / "again", PYTHONHASHSEED="1", LC_ALL="C")
    assert contents(again) == contents(built)


@pytest.mark.parametrize(
    ("check", "what"),
    [
        (["twine", "check", "--strict"], ["sdist", "wheel"]),
        (["check_wheel_contents"], ["wheel"]),
    ],
)
def test_the_index_will_have_nothing_to_object_to(
    built: Build, check: list[str], what: list[str]
) -> None:
    files = [str(getattr(built, one)) for one in what]
    done = subprocess.run(
        [sys.executable, "-m", *check, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_description_stands_alone_and_ends_with_the_newest_changes(built: Build) -> None:
    description = built.metadata().get_payload()
    assert isinstance(description, str)
    assert description.startswith("# agents_sandbox\n")
    links = re.findall(r"\]\((.+?)\)", description)
    assert [link for link in links if not link.startswith("https://")] == []
    assert "Changelog (`CHANGELOG.md`)" in description
    headings = re.findall(r"^## (\[.+)$", description, re.MULTILINE)
    newest = re.findall(r"^## (\[\d.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings == newest[:1]
    assert newest[0].startswith(f"[{VERSION}] - ")


def test_an_install_brings_what_is_needed_and_each_extra_what_it_is_for(built: Build) -> None:
    def name(requirement: str) -> str:
        return re.split(r"[^\w-]", requirement)[0]

    required = built.metadata().get_all("Requires-Dist") or []
    brought: dict[str, set[str]] = {}
    for one in required:
        extra = re.search(r"; extra == '(\w+)'$", one)
        brought.setdefault(extra[1] if extra else "", set()).add(name(one))
    assert brought == {
        "": {"grpcio", "protobuf"},
        "cli": {"click", "rich"},
        "otel": {"opentelemetry-api"},
        "testing": {"pytest", "pyyaml"},
    }


# The build hook


def test_an_editable_install_finds_the_twins_and_the_package(project: Path, tmp_path: Path) -> None:
    """A module beside the package would be found before it."""
    shutil.rmtree(project / TWIN)
    wheel = tmp_path / hatchling.build.build_editable(str(tmp_path))
    for origin, twin in ((ORIGIN, TWIN), (TESTS_ORIGIN, TESTS_TWIN)):
        found = {path.relative_to(project / twin) for path in (project / twin).rglob("*.py")}
        assert {path.as_posix() for path in found} == python_files(origin)
    with zipfile.ZipFile(wheel) as archive:
        assert "agents_sandbox.py" not in archive.namelist()


def test_a_build_fails_on_a_source_without_a_twin(project: Path, tmp_path: Path) -> None:
    (project / ORIGIN / "_trap.py").write_text("import asyncio\n", "utf-8")
    with pytest.raises(Exception, match=r"_trap\.py:1: 'async'"):
        hatchling.build.build_wheel(str(tmp_path))
