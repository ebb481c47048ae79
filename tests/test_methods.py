"""The method tables and the messages are those of the daemon's two wire dialects."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from agents_sandbox._wire import methods, status_pb2
from agents_sandbox._wire import v02_pb2 as pb
from agents_sandbox._wire import v04_pb2 as v04

# Source: the daemon's wire tables.
METHODS = [
    ("Ping", "PingRequest", "PingResponse"),
    ("CreateSandbox", "CreateSandboxRequest", "CreateSandboxResponse"),
    ("GetSandbox", "GetSandboxRequest", "GetSandboxResponse"),
    ("ListSandboxes", "ListSandboxesRequest", "ListSandboxesResponse"),
    ("ResumeSandbox", "ResumeSandboxRequest", "AcceptedResponse"),
    ("StopSandbox", "StopSandboxRequest", "AcceptedResponse"),
    ("DeleteSandbox", "DeleteSandboxRequest", "AcceptedResponse"),
    ("DeleteSandboxes", "DeleteSandboxesRequest", "DeleteSandboxesResponse"),
    ("SubscribeSandboxEvents", "SubscribeSandboxEventsRequest", "stream SandboxEvent"),
    ("CreateExec", "CreateExecRequest", "CreateExecResponse"),
    ("CancelExec", "CancelExecRequest", "AcceptedResponse"),
    ("GetExec", "GetExecRequest", "GetExecResponse"),
    ("ListActiveExecs", "ListActiveExecsRequest", "ListActiveExecsResponse"),
]

SCHEMA = """
enum SandboxState
    SANDBOX_STATE_UNSPECIFIED = 0
    SANDBOX_STATE_PENDING = 1
    SANDBOX_STATE_READY = 2
    SANDBOX_STATE_FAILED = 3
    SANDBOX_STATE_STOPPED = 4
    SANDBOX_STATE_DELETING = 5
    SANDBOX_STATE_DELETED = 6
enum ExecState
    EXEC_STATE_UNSPECIFIED = 0
    EXEC_STATE_RUNNING = 1
    EXEC_STATE_FINISHED = 2
    EXEC_STATE_FAILED = 3
    EXEC_STATE_CANCELLED = 4
enum EventType
    EVENT_TYPE_UNSPECIFIED = 0
    SANDBOX_ACCEPTED = 1
    SANDBOX_PREPARING = 2
    SANDBOX_READY = 3
    SANDBOX_FAILED = 4
    SANDBOX_STOP_REQUESTED = 5
    SANDBOX_STOPPED = 6
    SANDBOX_DELETE_REQUESTED = 7
    SANDBOX_DELETED = 8
    EXEC_STARTED = 9
    EXEC_FINISHED = 10
    EXEC_FAILED = 11
    EXEC_CANCELLED = 12
    SANDBOX_SERVICE_READY = 13
    SANDBOX_SERVICE_FAILED = 14
message PingRequest
message PingResponse
    string version = 1
    string daemon = 2
message MountSpec
    string source = 1
    string target = 2
    bool writable = 3
message CopySpec
    string source = 1
    string target = 2
    repeated string exclude_patterns = 3
message HealthcheckConfig
    repeated string test = 1
    google.protobuf.Duration interval = 2
    google.protobuf.Duration timeout = 3
    uint32 retries = 4
    google.protobuf.Duration start_period = 5
    google.protobuf.Duration start_interval = 6
message SandboxPhaseDetails
    string phase = 1
    string error_code = 2
    string error_message = 3
    string reason = 4
message ExecEventDetails
    string exec_id = 1
    int32 exit_code = 2
    ExecState exec_state = 3
    string error_code = 4
    string error_message = 5
message ExecStatus
    string exec_id = 1
    string sandbox_id = 2
    ExecState state = 3
    repeated string command = 4
    string cwd = 5
    map<string, string> env_overrides = 6
    int32 exit_code = 7
    string error = 8
    uint64 last_event_sequence = 9
message CreateSandboxRequest
    CreateSpec create_spec = 1
    string sandbox_id = 2
    bytes config_yaml = 3
message CreateSandboxResponse
    SandboxHandle sandbox = 1
message GetSandboxRequest
    string sandbox_id = 1
message GetSandboxResponse
    SandboxHandle sandbox = 1
message ListSandboxesRequest
    bool include_deleted = 1
    map<string, string> label_selector = 2
message ListSandboxesResponse
    repeated SandboxHandle sandboxes = 1
message ResumeSandboxRequest
    string sandbox_id = 1
message StopSandboxRequest
    string sandbox_id = 1
message DeleteSandboxRequest
    string sandbox_id = 1
message DeleteSandboxesRequest
    map<string, string> label_selector = 1
message DeleteSandboxesResponse
    repeated string deleted_sandbox_ids = 1
    uint32 deleted_count = 2
message AcceptedResponse
    bool accepted = 1
message SubscribeSandboxEventsRequest
    string sandbox_id = 1
    uint64 from_sequence = 2
    bool include_current_snapshot = 3
message CreateExecRequest
    string sandbox_id = 1
    repeated string command = 2
    string cwd = 3
    map<string, string> env_overrides = 4
    string exec_id = 5
message CreateExecResponse
    string exec_id = 1
    string stdout_log_path = 2
    string stderr_log_path = 3
message CancelExecRequest
    string exec_id = 1
message GetExecRequest
    string exec_id = 1
message GetExecResponse
    ExecStatus exec = 1
message ListActiveExecsRequest
    optional string sandbox_id = 1
message ListActiveExecsResponse
    repeated ExecStatus execs = 1
message ServiceSpec
    string name = 1
    string image = 2
    map<string, string> envs = 3
    HealthcheckConfig healthcheck = 4
    repeated string post_start_on_primary = 5
message CreateSpec
    string image = 1
    repeated MountSpec mounts = 2
    repeated CopySpec copies = 3
    repeated string builtin_tools = 4
    repeated ServiceSpec required_services = 5
    repeated ServiceSpec optional_services = 6
    map<string, string> labels = 7
    map<string, string> envs = 8
    google.protobuf.Duration idle_ttl = 9
message SandboxHandle
    string sandbox_id = 1
    SandboxState state = 2
    uint64 last_event_sequence = 3
    repeated ServiceSpec required_services = 4
    repeated ServiceSpec optional_services = 5
    map<string, string> labels = 6
    google.protobuf.Timestamp created_at = 7
    string image = 8
    string error_code = 9
    string error_message = 10
    google.protobuf.Timestamp state_changed_at = 11
message ServiceEventDetails
    string service_name = 1
    string error_code = 2
    string error_message = 3
message SandboxEvent
    string event_id = 1
    uint64 sequence = 2
    string sandbox_id = 3
    EventType event_type = 4
    google.protobuf.Timestamp occurred_at = 5
    bool replay = 6
    bool snapshot = 7
    SandboxState sandbox_state = 8
    oneof details: SandboxPhaseDetails sandbox_phase = 9
    oneof details: ExecEventDetails exec = 10
    oneof details: ServiceEventDetails service = 11
"""

# Only what differs from dialect 0.2.
SCHEMA_04 = """
enum EventType
    EVENT_TYPE_UNSPECIFIED = 0
    SANDBOX_ACCEPTED = 1
    SANDBOX_PREPARING = 2
    SANDBOX_READY = 3
    SANDBOX_FAILED = 4
    SANDBOX_STOP_REQUESTED = 5
    SANDBOX_STOPPED = 6
    SANDBOX_DELETE_REQUESTED = 7
    SANDBOX_DELETED = 8
    EXEC_STARTED = 9
    EXEC_FINISHED = 10
    EXEC_FAILED = 11
    EXEC_CANCELLED = 12
    COMPANION_CONTAINER_READY = 13
    COMPANION_CONTAINER_FAILED = 14
enum PortProtocol
    PORT_PROTOCOL_TCP = 0
    PORT_PROTOCOL_UDP = 1
    PORT_PROTOCOL_SCTP = 2
message PortMapping
    uint32 container_port = 1
    uint32 host_port = 2
    PortProtocol protocol = 3
message CompanionContainerSpec
    string name = 1
    string image = 2
    map<string, string> envs = 3
    HealthcheckConfig healthcheck = 4
    repeated string post_start_on_primary = 5
    repeated string command = 6
    string cpu_limit = 7
    string memory_limit = 8
    string disk_limit = 9
message CreateSpec
    string image = 1
    repeated MountSpec mounts = 2
    repeated CopySpec copies = 3
    repeated string builtin_tools = 4
    repeated CompanionContainerSpec companion_containers = 5
    map<string, string> labels = 6
    map<string, string> envs = 7
    google.protobuf.Duration idle_ttl = 8
    repeated PortMapping ports = 9
    repeated string command = 10
    string cpu_limit = 11
    string memory_limit = 12
    string disk_limit = 13
    string gpus = 14
message SandboxHandle
    string sandbox_id = 1
    SandboxState state = 2
    uint64 last_event_sequence = 3
    repeated CompanionContainerSpec companion_containers = 4
    map<string, string> labels = 5
    google.protobuf.Timestamp created_at = 6
    string image = 7
    string error_code = 8
    string error_message = 9
    google.protobuf.Timestamp state_changed_at = 10
message CompanionContainerEventDetails
    string name = 1
    string error_code = 2
    string error_message = 3
message SandboxEvent
    string event_id = 1
    uint64 sequence = 2
    string sandbox_id = 3
    EventType event_type = 4
    google.protobuf.Timestamp occurred_at = 5
    bool replay = 6
    bool snapshot = 7
    SandboxState sandbox_state = 8
    oneof details: SandboxPhaseDetails sandbox_phase = 9
    oneof details: ExecEventDetails exec = 10
    oneof details: CompanionContainerEventDetails companion_container = 11
message CreateSandboxRequest
    CreateSpec create_spec = 1
    string sandbox_id = 2
    bytes config_yaml = 3
message CreateSandboxResponse
    SandboxHandle sandbox = 1
message GetSandboxResponse
    SandboxHandle sandbox = 1
message ListSandboxesResponse
    repeated SandboxHandle sandboxes = 1
"""

STATUS_SCHEMA = """
message Status
    int32 code = 1
    string message = 2
    repeated google.protobuf.Any details = 3
message ErrorInfo
    string reason = 1
    string domain = 2
    map<string, string> metadata = 3
"""


def split(schema: str) -> dict[str, list[str]]:
    """Split a schema into its definitions, each with its lines."""
    definitions: dict[str, list[str]] = {}
    for line in schema.strip().splitlines():
        if line.startswith(" "):
            definitions[next(reversed(definitions))].append(line.strip())
        else:
            definitions[line] = []
    return definitions


def describe(serialized: bytes) -> dict[str, list[str]]:
    """Return the definitions of a compiled .proto file in the same form."""
    file = FileDescriptorProto.FromString(serialized)
    enums = {
        f"enum {enum.name}": [f"{value.name} = {value.number}" for value in enum.value]
        for enum in file.enum_type
    }
    messages = {
        f"message {message.name}": [field_line(message, field) for field in message.field]
        for message in file.message_type
    }
    return enums | messages


def field_line(message: DescriptorProto, field: FieldDescriptorProto) -> str:
    line = f"{type_name(field)} {field.name} = {field.number}"
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    entry = entries.get(field.type_name.rpartition(".")[2])
    if entry is not None:
        return f"map<{', '.join(map(type_name, entry.field))}> {field.name} = {field.number}"
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {line}"
    if field.proto3_optional:
        return f"optional {line}"
    if field.HasField("oneof_index"):
        return f"oneof {message.oneof_decl[field.oneof_index].name}: {line}"
    return line


def type_name(field: FieldDescriptorProto) -> str:
    if field.type_name.startswith(".google."):
        return field.type_name.lstrip(".")
    if field.type_name:
        return field.type_name.rpartition(".")[2]
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


TABLES = pytest.mark.parametrize(
    "table", [methods.METHODS_V02, methods.METHODS_V04], ids=["0.2", "0.4"]
)


@TABLES
def test_the_method_table_is_the_daemons(table: tuple[methods.Method[Any, Any], ...]) -> None:
    assert [
        (
            method.name,
            method.request_type.DESCRIPTOR.name,
            ("stream " if method.streams else "") + method.response_type.DESCRIPTOR.name,
        )
        for method in table
    ] == METHODS


@TABLES
def test_paths_are_under_the_daemons_service(
    table: tuple[methods.Method[Any, Any], ...],
) -> None:
    for method in table:
        assert method.path == f"/agbox.v1.SandboxService/{method.name}"


def test_each_dialect_creates_and_shows_sandboxes_in_its_own_messages() -> None:
    own = [
        message.DESCRIPTOR.name
        for method in methods.METHODS_V04
        for message in (method.request_type, method.response_type)
        if message.DESCRIPTOR.file is v04.DESCRIPTOR
    ]
    assert own == [
        "CreateSandboxRequest",
        "CreateSandboxResponse",
        "GetSandboxResponse",
        "ListSandboxesResponse",
    ]


@pytest.mark.parametrize(
    ("messages", "schema"),
    [(pb.DESCRIPTOR, SCHEMA), (v04.DESCRIPTOR, SCHEMA_04)],
    ids=["0.2", "0.4"],
)
def test_the_messages_are_the_daemons(messages: FileDescriptor, schema: str) -> None:
    assert describe(messages.serialized_pb) == split(schema)


def test_the_error_details_are_googles() -> None:
    assert describe(status_pb2.DESCRIPTOR.serialized_pb) == split(STATUS_SCHEMA)


@pytest.mark.parametrize(
    ("package", "messages", "definition"),
    [
        *(("v02", pb.DESCRIPTOR, definition) for definition in split(SCHEMA)),
        *(("v04", v04.DESCRIPTOR, definition) for definition in split(SCHEMA_04)),
    ],
)
def test_no_name_of_another_sdk_is_taken(
    package: str, messages: FileDescriptor, definition: str
) -> None:
    pool = descriptor_pool.Default()
    name = definition.split()[1]
    assert pool.FindFileContainingSymbol(f"agents_sandbox.wire.{package}.{name}") is messages
    for taken in ("agbox.v1", "google.rpc"):
        with pytest.raises(KeyError):
            pool.FindFileContainingSymbol(f"{taken}.{name}")


@pytest.mark.parametrize(
    "name", ["agbox.v1.SandboxService", "google.rpc.Status", "google.rpc.ErrorInfo"]
)
def test_neither_the_service_nor_googles_names_are_taken(name: str) -> None:
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindFileContainingSymbol(name)
