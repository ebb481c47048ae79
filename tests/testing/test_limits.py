"""Checks of limits and ports."""

from __future__ import annotations

from typing import Any

import pytest

from agents_sandbox.testing import FakeDaemon
from agents_sandbox.testing._protocol.refusals import StatusError
from agents_sandbox.testing._protocol.spec import Port, SideContainer, Spec
from agents_sandbox.testing._validation.limits import check_limits
from agents_sandbox.testing._validation.ports import check_ports, parse_protocol

from .raw import connected
from .releases import since

pytestmark = pytest.mark.once


def why_not(**limits: str) -> str:
    with pytest.raises(StatusError) as caught:
        check_limits(Spec(**limits))  # type: ignore[arg-type]  # any limits
    assert (caught.value.code.name, caught.value.details) == ("INVALID_ARGUMENT", None)
    return caught.value.message


@pytest.mark.parametrize(
    ("cores", "why"),
    [
        ("two", 'strconv.ParseFloat: parsing "two": invalid syntax'),
        ("inf", "must be a finite number"),
        ("-inf", "must be a finite number"),
        ("nan", "must be a finite number"),
        ("0", "must be > 0"),
        ("-1", "must be > 0"),
        ("0.0009", "must resolve to at least 1 millicore (0.001)"),
    ],
)
def test_refused_cores(cores: str, why: str) -> None:
    assert why_not(cpu_limit=cores) == f'cpu_limit: cpu_limit "{cores}": {why}'


@pytest.mark.parametrize("field", ["memory_limit", "disk_limit"])
@pytest.mark.parametrize(
    ("size", "why"),
    [
        ("lots", "invalid size: 'lots'"),
        ("1x", "invalid suffix: 'x'"),
        ("0", "must be > 0"),
        ("0.5", "must be > 0"),
        ("8192p", "must be > 0"),
    ],
)
def test_refused_sizes(field: str, size: str, why: str) -> None:
    assert why_not(**{field: size}) == f'{field}: {field} "{size}": {why}'


def test_accepted_limits() -> None:
    check_limits(Spec())
    check_limits(Spec(cpu_limit="0.001", memory_limit="1b", disk_limit="10 GiB"))


@pytest.mark.parametrize("version", since("0.4.1"))
def test_limits_of_companions_are_checked_after_those_of_the_primary(version: str) -> None:
    side = {"name": "a", "image": "i"}
    prefix = "companion_containers[a]."
    with FakeDaemon(version=version) as daemon, connected(daemon) as raw:
        for limits, message in (
            ({"cpu_limit": "-1"}, f'{prefix}cpu_limit: cpu_limit "-1": must be > 0'),
            (
                {"memory_limit": "x"},
                f"{prefix}memory_limit: {prefix}memory_limit \"x\": invalid size: 'x'",
            ),
            ({"disk_limit": "0"}, f'{prefix}disk_limit: {prefix}disk_limit "0": must be > 0'),
        ):
            assert raw.why_refused(companion_containers=[{**side, **limits}]) == message
        why = raw.why_refused(companion_containers=[{**side, "cpu_limit": "x"}], disk_limit="0")
        assert why == 'disk_limit: disk_limit "0": must be > 0'


def test_limits_of_each_companion_are_checked() -> None:
    fine = SideContainer(name="fine", image="i", cpu_limit="1")
    with pytest.raises(StatusError, match=r"^companion_containers\[bad\]\.cpu_limit: "):
        check_limits(Spec(companion_containers=[fine, SideContainer("bad", "i", cpu_limit="x")]))


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ([(0, 0, 9)], "port container_port must be between 1 and 65535, got 0"),
        ([(65536, 0, 9)], "port container_port must be between 1 and 65535, got 65536"),
        ([(1, 0, 9)], "port host_port must be between 1 and 65535, got 0"),
        ([(1, 4294967295, 9)], "port host_port must be between 1 and 65535, got 4294967295"),
        ([(1, 1, 3)], "port protocol must be TCP, UDP, or SCTP, got 3"),
        ([(1, 1, -1)], "port protocol must be TCP, UDP, or SCTP, got -1"),
        ([(1, 80, 0), (2, 80, 0)], "duplicate host_port 80 with protocol tcp"),
        ([(1, 80, 1), (2, 80, 1)], "duplicate host_port 80 with protocol udp"),
        ([(1, 80, 2), (2, 80, 2), (0, 0, 0)], "duplicate host_port 80 with protocol sctp"),
    ],
)
def test_refused_ports(ports: list[tuple[int, int, int]], message: str) -> None:
    spec: list[Any] = [
        {"container_port": port, "host_port": host, "protocol": protocol}
        for port, host, protocol in ports
    ]
    with FakeDaemon(version="0.4.0") as daemon, connected(daemon) as raw:
        assert raw.why_refused(ports=spec) == message


def test_accepted_ports() -> None:
    check_ports([Port(1, 65535, number) for number in range(3)] + [Port(65535, 1)])


def test_protocols() -> None:
    names = ("", "tcp", "TCP", "udp", "Udp", "sctp", "SCTP")
    assert [parse_protocol(name) for name in names] == [0, 0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError) as caught:
        parse_protocol("icmp")
    assert str(caught.value) == 'unsupported port protocol "icmp"; must be tcp, udp, or sctp'
