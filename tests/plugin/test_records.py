"""What tests with either client read of their daemon, and script in it."""

from __future__ import annotations

from .conftest import RunPytest


def test_scripts_and_records(run_pytest: RunPytest) -> None:
    result = run_pytest(
        """
        import asyncio
        from agents_sandbox import ExecState, MountSpec, SandboxState
        from agents_sandbox.testing import CreateExecRequest, CreateSandboxRequest, SandboxSpec

        def script(daemon):
            daemon.on_exec(prefix=["make"], cwd="/srv", env={"A": "1"}).stdout("no").exit(2).then()

        def check(daemon, mount):
            first, second, other = daemon.execs
            assert (first.state, first.exit_code, first.stdout) == (ExecState.FAILED, 2, "no")
            assert (second.state, second.exit_code) == (ExecState.FINISHED, 0)
            assert (other.argv, other.cwd, other.env) == (("make",), "/workspace", {"A": "1"})
            (box,) = daemon.sandboxes
            spec = SandboxSpec(image="a:1", mounts=(mount,), envs={"A": "1"})
            assert (box.sandbox_id, box.state, box.spec) == ("box-1", SandboxState.DELETED, spec)
            assert box.events[-1].event_type.name == "SANDBOX_DELETED"
            requests = [call.request for call in daemon.calls]
            assert CreateSandboxRequest(spec, "box-1") in requests
            assert CreateExecRequest("box-1", ("make",), exec_id="exec-3") in requests

        def test_blocking(sync_agents_sandbox_client, agents_sandbox_daemon, tmp_path):
            client, mount = sync_agents_sandbox_client, MountSpec(tmp_path, "/mnt/x")
            script(agents_sandbox_daemon)
            client.create_sandbox(image="a:1", sandbox_id="box-1", mounts=[mount], envs={"A": "1"})
            for number in (1, 2):
                client.run("box-1", ("make", "all"), cwd="/srv", exec_id=f"exec-{number}")
            client.run("box-1", ("make",), exec_id="exec-3")
            client.delete_sandbox("box-1")
            check(agents_sandbox_daemon, mount)

        def test_async(agents_sandbox_client, agents_sandbox_daemon, tmp_path):
            client, mount = agents_sandbox_client, MountSpec(tmp_path, "/mnt/x")

            async def main():
                await client.create_sandbox(
                    image="a:1", sandbox_id="box-1", mounts=[mount], envs={"A": "1"}
                )
                for number in (1, 2):
                    await client.run("box-1", ("make", "all"), cwd="/srv", exec_id=f"exec-{number}")
                await client.run("box-1", ("make",), exec_id="exec-3")
                await client.delete_sandbox("box-1")

            script(agents_sandbox_daemon)
            asyncio.run(main())
            check(agents_sandbox_daemon, mount)
        """
    )
    result.assert_outcomes(passed=2)
