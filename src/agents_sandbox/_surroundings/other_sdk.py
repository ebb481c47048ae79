"""Importing this module fails if the package has files of the daemon project's own SDK.

That SDK, the distribution agents-sandbox-sdk, has the same import name, and installers let each of
the two overwrite and remove files of the other. Its package has the modules `client` and `types`.
Here these are packages, which Python prefers, so one of ours is loaded even if `__init__` is not
ours. If an uninstall has removed `__init__`, Python loads `src/_incomplete/agents_sandbox.py`.
"""

import os

_FOLDER = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - costs nothing

if os.path.exists(os.path.join(_FOLDER, "client.py")):  # noqa: PTH110, PTH118 - likewise
    raise ImportError(
        "agents-sandbox and agents-sandbox-sdk are both installed, and both put their files into "
        f"{_FOLDER}. Remove agents-sandbox-sdk, then restore this SDK: "
        "pip uninstall agents-sandbox-sdk; "
        "pip install --force-reinstall --no-deps agents-sandbox",
        name="agents_sandbox",
    )
