"""What the surroundings do to the SDK.

Mocked dates, forks, gevent, closed event loops, systems without Unix, files of another SDK.
"""

from . import (
    other_sdk,  # noqa: F401 - first: it refuses a mixed package
    platform,  # noqa: F401 - then: what follows needs Unix
)
