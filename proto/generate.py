"""Compares the committed protobuf modules with freshly generated ones, or updates them.

    python proto/generate.py          name each file that differs and exit with 1 if any does
    python proto/generate.py --write  update these files

Requires grpcio-tools 1.62: the code that it generates runs with every protobuf from 4.25 on, while
the code of newer tools requires newer runtimes. `tox -e protos` installs it;
`tox -e protos -- --write` passes the option on.
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
    """Compiles all .proto files in this folder into modules at the same relative paths."""
    files = sorted(path.relative_to(PROTO).as_posix() for path in PROTO.rglob("*.proto"))
    options = ["-I.", f"--python_out={into}", f"--pyi_out={into}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *options, *files]
    subprocess.run(command, cwd=PROTO, check=True)
    for stub in into.rglob("*_pb2.pyi"):
        # protoc writes mappings without type arguments where a message can be passed as a mapping.
        text = stub.read_text(encoding="utf-8").replace(", _Mapping]", ", _Mapping[str, _Any]]")
        text = text.replace("from typing import ", "from typing import Any as _Any, ")
        stub.write_text(text, encoding="utf-8")


def modules(folder: Path) -> dict[str, bytes]:
    """Returns the bytes of each generated module below a folder, by relative name."""
    found = [*folder.rglob("*_pb2.py"), *folder.rglob("*_pb2.pyi")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def main() -> int:
    """Runs the command line and returns the exit code."""
    parser = argparse.ArgumentParser(description="Check the generated protobuf modules.")
    parser.add_argument("--write", action="store_true", help="update the files that differ")
    write = parser.parse_args().write
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = modules(Path(folder))
    committed = modules(SRC)
    stale = sorted(n for n in fresh | committed if fresh.get(n) != committed.get(n))
    for name in stale:
        print(f"src/{name}: {'updated' if write else 'differs from its .proto file'}")
        if write and name in fresh:
            (SRC / name).parent.mkdir(parents=True, exist_ok=True)
            (SRC / name).write_bytes(fresh[name])
        elif write:
            (SRC / name).unlink()
    return 1 if stale and not write else 0


if __name__ == "__main__":
    sys.exit(main())
