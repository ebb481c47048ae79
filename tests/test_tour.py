"""The notebook of the examples runs from top to bottom, and is kept without what it printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = "from nbclient.cli import main; main()"
PATH = Path(__file__).parents[1] / "examples" / "tour.ipynb"


def code_cells(path: Path) -> list[dict[str, Any]]:
    tour: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return [cell for cell in tour["cells"] if cell["cell_type"] == "code"]


def shown(output: dict[str, Any]) -> str:
    """What a reader sees of an output."""
    if output["output_type"] == "stream":
        assert output["name"] == "stdout", output
        return "".join(output["text"])
    data = output["data"]
    return "".join(data.get("text/html", data["text/plain"]))


@pytest.mark.once
def test_it_is_kept_without_outputs() -> None:
    tour: dict[str, Any] = json.loads(PATH.read_text("utf-8"))
    assert code_cells(PATH)
    assert [c for c in code_cells(PATH) if c["outputs"] or c["execution_count"]] == []
    # Nor with what an editor adds: whose Python it was, and which cells were folded.
    assert {*tour["metadata"]} == {"kernelspec", "language_info"}
    assert tour["metadata"]["language_info"] == {"name": "python"}
    assert [cell for cell in tour["cells"] if cell["metadata"]] == []


@pytest.mark.once
@pytest.mark.unmeasured
def test_it_runs(tmp_path: Path) -> None:
    executed = tmp_path / "executed.ipynb"
    # In a process of its own: the library leaves sockets open.
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(PATH), f"--output={executed}"],
        env={**os.environ, "IPYTHONDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = "\n".join(shown(output) for cell in code_cells(executed) for output in cell["outputs"])
    for expected in (">PingInfo</caption>", "hello from a file", "exit code 3 no luck", "line 3"):
        assert expected in text
    assert "2 SandboxHandle" in text
    assert "secret" not in text
    assert re.findall(r"<title>(Timeline of sandbox [\w-]+)</title>", text) == [
        "Timeline of sandbox tour-sandbox",
        "Timeline of sandbox async-tour",
    ]
    assert "✗ exit 1" in text
