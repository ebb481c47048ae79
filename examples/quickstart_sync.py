"""The blocking version of `quickstart.py`."""

from agents_sandbox import DaemonUnavailableError, SyncAgentsSandboxClient
from agents_sandbox.testing import FakeDaemon

IMAGE = "ghcr.io/agents-sandbox/coding-runtime:latest"


def live(client: SyncAgentsSandboxClient) -> None:
    with client.sandbox(image=IMAGE) as sandbox:
        print(sandbox)
        sandbox.files.write_text("hello.sh", "echo hello from $(uname)")
        result = sandbox.run(("sh", "hello.sh"))
        print(f"exit code {result.exit_code}: {result.stdout}", end="")
        for event in sandbox.events():
            print(f"event {event.sequence}: {event.event_type.name}")
            if event.sequence >= result.last_event_sequence:
                break
    print(f"sandbox {sandbox.id} was deleted")


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
