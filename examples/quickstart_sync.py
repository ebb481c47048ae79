"""The blocking version of `quickstart.py`."""

from pathlib import Path

from agents_sandbox import DaemonUnavailableError, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


def live(client: SyncAgentsSandboxClient) -> None:
    sandbox = client.create_sandbox(image=IMAGE)
    print(f"sandbox {sandbox.sandbox_id} is {sandbox.state.name}")
    try:
        result = client.run(sandbox.sandbox_id, ("sh", "-c", "echo hello from $(uname)"))
        print(
            f"exit code {result.exit_code}: {Path(result.stdout_log_path or '').read_text()}",
            end="",
        )
        for event in client.subscribe_sandbox_events(sandbox.sandbox_id):
            print(f"event {event.sequence}: {event.event_type.name}")
            if event.sequence >= result.last_event_sequence:
                break
    finally:
        deleted = client.delete_sandbox(sandbox.sandbox_id)
        print(f"sandbox {deleted.sandbox_id} is {deleted.state.name}")


def main() -> None:
    with SyncAgentsSandboxClient() as client:
        try:
            daemon = client.ping()
        except DaemonUnavailableError as error:
            print(f"{error}\nInstead, the fake daemon stands in:")
            live_with_the_fake_daemon()
        else:
            print(f"{daemon.daemon} {daemon.version} answers:")
            live(client)


def live_with_the_fake_daemon() -> None:
    with (
        FakeDaemon(exec_mode="auto") as daemon,
        SyncAgentsSandboxClient(daemon.socket_path) as client,
    ):
        live(client)


if __name__ == "__main__":
    main()
