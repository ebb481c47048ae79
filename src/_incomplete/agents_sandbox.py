"""What Python loads in place of the package `agents_sandbox` if that has lost its `__init__`.

A wheel has this file beside the package, which Python prefers while it is complete.
"""

raise ImportError(
    "the package agents_sandbox has lost files, as it does when agents-sandbox-sdk, which has the "
    "same import name, is removed. Restore this SDK: "
    "pip install --force-reinstall --no-deps agents-sandbox",
    name="agents_sandbox",
)
