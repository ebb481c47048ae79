"""Compares the committed protobuf modules with fresh ones, or writes them anew.

    python proto/generate.py          exit 1 and name each file that is not as generated
    python proto/generate.py --write  make it so

Needs grpcio-tools 1.62: its code runs on every protobuf from 4.25 on, that of newer tools only
on runtimes as new. `tox -e protos` brings it, `tox -e protos -- --write` hands on the option.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

PROTO = Path(__file__).resolve().parent
SRC = PROTO.parent / "src"


def generate(into: Path) -> None:
    """Compiles every .proto file of this folder; the modules' paths follow those of the files."""
    files = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))
    options = ["-I.", f"--python_out={into}", f"--pyi_out={into}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *options, *files]
    subprocess.run(command, cwd=PROTO, check=True)
    for stub in into.rglob("*_pb2.pyi"):
        # protoc leaves the mappings that stand for a message without types.
        text = stub.read_text(encoding="utf-8").replace(", _Mapping]", ", _Mapping[str, _Any]]")
        text = text.replace("from typing import ", "from typing import Any as _Any, ")
        stub.write_text(text, encoding="utf-8")


def modules(folder: Path) -> dict[str, bytes]:
    """Maps the relative name of each generated module below a folder to its bytes."""
    found = [*folder.rglob("*_pb2.py"), *folder.rglob("*_pb2.pyi")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def main() -> int:
    """Runs the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Check the generated protobuf modules.")
    parser.add_argument("--write", action="store_true", help="write what differs")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = modules(Path(folder))
    committed = modules(SRC)
    stale = sorted(n for n in fresh | committed if fresh.get(n) != committed.get(n))
    for name in stale:
        print(f"src/{name}: {'brought up to date' if write else 'not as generated'}")
        if write and name in fresh:
            (SRC / name).parent.mkdir(parents=True, exist_ok=True)
            (SRC / name).write_bytes(fresh[name])
        elif write:
            (SRC / name).unlink()
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main())
