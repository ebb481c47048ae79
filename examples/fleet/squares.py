"""Squares numbers in the sandboxes of a fleet: `python squares.py tcp://scheduler:8786`."""

import sys

from distributed import Client
from sandbox_fleet import Job, run_jobs

JOBS = [
    Job(str(number), image="python:3.13", command=("python", "-c", f"print({number} ** 2)"))
    for number in range(10)
]


def main(scheduler: str) -> None:
    with Client(scheduler) as client:
        for outcome in run_jobs(client, "squares", JOBS):
            if outcome.exit_code == 0:
                print(f"{outcome.job} squared is {outcome.stdout}", end="")
            else:
                print(f"{outcome.job} failed: {outcome.error}")


if __name__ == "__main__":
    main(sys.argv[1])
