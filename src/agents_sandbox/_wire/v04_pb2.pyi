from agents_sandbox._wire import v02_pb2 as _v02_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import Any as _Any, ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_TYPE_UNSPECIFIED: _ClassVar[EventType]
    SANDBOX_ACCEPTED: _ClassVar[EventType]
    SANDBOX_PREPARING: _ClassVar[EventType]
    SANDBOX_READY: _ClassVar[EventType]
    SANDBOX_FAILED: _ClassVar[EventType]
    SANDBOX_STOP_REQUESTED: _ClassVar[EventType]
    SANDBOX_STOPPED: _ClassVar[EventType]
    SANDBOX_DELETE_REQUESTED: _ClassVar[EventType]
    SANDBOX_DELETED: _ClassVar[EventType]
    EXEC_STARTED: _ClassVar[EventType]
    EXEC_FINISHED: _ClassVar[EventType]
    EXEC_FAILED: _ClassVar[EventType]
    EXEC_CANCELLED: _ClassVar[EventType]
    COMPANION_CONTAINER_READY: _ClassVar[EventType]
    COMPANION_CONTAINER_FAILED: _ClassVar[EventType]

class PortProtocol(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PORT_PROTOCOL_TCP: _ClassVar[PortProtocol]
    PORT_PROTOCOL_UDP: _ClassVar[PortProtocol]
    PORT_PROTOCOL_SCTP: _ClassVar[PortProtocol]
EVENT_TYPE_UNSPECIFIED: EventType
SANDBOX_ACCEPTED: EventType
SANDBOX_PREPARING: EventType
SANDBOX_READY: EventType
SANDBOX_FAILED: EventType
SANDBOX_STOP_REQUESTED: EventType
SANDBOX_STOPPED: EventType
SANDBOX_DELETE_REQUESTED: EventType
SANDBOX_DELETED: EventType
EXEC_STARTED: EventType
EXEC_FINISHED: EventType
EXEC_FAILED: EventType
EXEC_CANCELLED: EventType
COMPANION_CONTAINER_READY: EventType
COMPANION_CONTAINER_FAILED: EventType
PORT_PROTOCOL_TCP: PortProtocol
PORT_PROTOCOL_UDP: PortProtocol
PORT_PROTOCOL_SCTP: PortProtocol

class PortMapping(_message.Message):
    __slots__ = ("container_port", "host_port", "protocol")
    CONTAINER_PORT_FIELD_NUMBER: _ClassVar[int]
    HOST_PORT_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    container_port: int
    host_port: int
    protocol: PortProtocol
    def __init__(self, container_port: _Optional[int] = ..., host_port: _Optional[int] = ..., protocol: _Optional[_Union[PortProtocol, str]] = ...) -> None: ...

class CompanionContainerSpec(_message.Message):
    __slots__ = ("name", "image", "envs", "healthcheck", "post_start_on_primary", "command", "cpu_limit", "memory_limit", "disk_limit")
    class EnvsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ENVS_FIELD_NUMBER: _ClassVar[int]
    HEALTHCHECK_FIELD_NUMBER: _ClassVar[int]
    POST_START_ON_PRIMARY_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_LIMIT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    DISK_LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    image: str
    envs: _containers.ScalarMap[str, str]
    healthcheck: _v02_pb2.HealthcheckConfig
    post_start_on_primary: _containers.RepeatedScalarFieldContainer[str]
    command: _containers.RepeatedScalarFieldContainer[str]
    cpu_limit: str
    memory_limit: str
    disk_limit: str
    def __init__(self, name: _Optional[str] = ..., image: _Optional[str] = ..., envs: _Optional[_Mapping[str, str]] = ..., healthcheck: _Optional[_Union[_v02_pb2.HealthcheckConfig, _Mapping[str, _Any]]] = ..., post_start_on_primary: _Optional[_Iterable[str]] = ..., command: _Optional[_Iterable[str]] = ..., cpu_limit: _Optional[str] = ..., memory_limit: _Optional[str] = ..., disk_limit: _Optional[str] = ...) -> None: ...

class CreateSpec(_message.Message):
    __slots__ = ("image", "mounts", "copies", "builtin_tools", "companion_containers", "labels", "envs", "idle_ttl", "ports", "command", "cpu_limit", "memory_limit", "disk_limit", "gpus")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class EnvsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MOUNTS_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    BUILTIN_TOOLS_FIELD_NUMBER: _ClassVar[int]
    COMPANION_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ENVS_FIELD_NUMBER: _ClassVar[int]
    IDLE_TTL_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_LIMIT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    DISK_LIMIT_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    image: str
    mounts: _containers.RepeatedCompositeFieldContainer[_v02_pb2.MountSpec]
    copies: _containers.RepeatedCompositeFieldContainer[_v02_pb2.CopySpec]
    builtin_tools: _containers.RepeatedScalarFieldContainer[str]
    companion_containers: _containers.RepeatedCompositeFieldContainer[CompanionContainerSpec]
    labels: _containers.ScalarMap[str, str]
    envs: _containers.ScalarMap[str, str]
    idle_ttl: _duration_pb2.Duration
    ports: _containers.RepeatedCompositeFieldContainer[PortMapping]
    command: _containers.RepeatedScalarFieldContainer[str]
    cpu_limit: str
    memory_limit: str
    disk_limit: str
    gpus: str
    def __init__(self, image: _Optional[str] = ..., mounts: _Optional[_Iterable[_Union[_v02_pb2.MountSpec, _Mapping[str, _Any]]]] = ..., copies: _Optional[_Iterable[_Union[_v02_pb2.CopySpec, _Mapping[str, _Any]]]] = ..., builtin_tools: _Optional[_Iterable[str]] = ..., companion_containers: _Optional[_Iterable[_Union[CompanionContainerSpec, _Mapping[str, _Any]]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., envs: _Optional[_Mapping[str, str]] = ..., idle_ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping[str, _Any]]] = ..., ports: _Optional[_Iterable[_Union[PortMapping, _Mapping[str, _Any]]]] = ..., command: _Optional[_Iterable[str]] = ..., cpu_limit: _Optional[str] = ..., memory_limit: _Optional[str] = ..., disk_limit: _Optional[str] = ..., gpus: _Optional[str] = ...) -> None: ...

class SandboxHandle(_message.Message):
    __slots__ = ("sandbox_id", "state", "last_event_sequence", "companion_containers", "labels", "created_at", "image", "error_code", "error_message", "state_changed_at")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LAST_EVENT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COMPANION_CONTAINERS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    sandbox_id: str
    state: _v02_pb2.SandboxState
    last_event_sequence: int
    companion_containers: _containers.RepeatedCompositeFieldContainer[CompanionContainerSpec]
    labels: _containers.ScalarMap[str, str]
    created_at: _timestamp_pb2.Timestamp
    image: str
    error_code: str
    error_message: str
    state_changed_at: _timestamp_pb2.Timestamp
    def __init__(self, sandbox_id: _Optional[str] = ..., state: _Optional[_Union[_v02_pb2.SandboxState, str]] = ..., last_event_sequence: _Optional[int] = ..., companion_containers: _Optional[_Iterable[_Union[CompanionContainerSpec, _Mapping[str, _Any]]]] = ..., labels: _Optional[_Mapping[str, str]] = ..., created_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., image: _Optional[str] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ..., state_changed_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ...) -> None: ...

class CompanionContainerEventDetails(_message.Message):
    __slots__ = ("name", "error_code", "error_message")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ERROR_CODE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    error_code: str
    error_message: str
    def __init__(self, name: _Optional[str] = ..., error_code: _Optional[str] = ..., error_message: _Optional[str] = ...) -> None: ...

class SandboxEvent(_message.Message):
    __slots__ = ("event_id", "sequence", "sandbox_id", "event_type", "occurred_at", "replay", "snapshot", "sandbox_state", "sandbox_phase", "exec", "companion_container")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_STATE_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_PHASE_FIELD_NUMBER: _ClassVar[int]
    EXEC_FIELD_NUMBER: _ClassVar[int]
    COMPANION_CONTAINER_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    sequence: int
    sandbox_id: str
    event_type: EventType
    occurred_at: _timestamp_pb2.Timestamp
    replay: bool
    snapshot: bool
    sandbox_state: _v02_pb2.SandboxState
    sandbox_phase: _v02_pb2.SandboxPhaseDetails
    exec: _v02_pb2.ExecEventDetails
    companion_container: CompanionContainerEventDetails
    def __init__(self, event_id: _Optional[str] = ..., sequence: _Optional[int] = ..., sandbox_id: _Optional[str] = ..., event_type: _Optional[_Union[EventType, str]] = ..., occurred_at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping[str, _Any]]] = ..., replay: bool = ..., snapshot: bool = ..., sandbox_state: _Optional[_Union[_v02_pb2.SandboxState, str]] = ..., sandbox_phase: _Optional[_Union[_v02_pb2.SandboxPhaseDetails, _Mapping[str, _Any]]] = ..., exec: _Optional[_Union[_v02_pb2.ExecEventDetails, _Mapping[str, _Any]]] = ..., companion_container: _Optional[_Union[CompanionContainerEventDetails, _Mapping[str, _Any]]] = ...) -> None: ...

class CreateSandboxRequest(_message.Message):
    __slots__ = ("create_spec", "sandbox_id", "config_yaml")
    CREATE_SPEC_FIELD_NUMBER: _ClassVar[int]
    SANDBOX_ID_FIELD_NUMBER: _ClassVar[int]
    CONFIG_YAML_FIELD_NUMBER: _ClassVar[int]
    create_spec: CreateSpec
    sandbox_id: str
    config_yaml: bytes
    def __init__(self, create_spec: _Optional[_Union[CreateSpec, _Mapping[str, _Any]]] = ..., sandbox_id: _Optional[str] = ..., config_yaml: _Optional[bytes] = ...) -> None: ...

class CreateSandboxResponse(_message.Message):
    __slots__ = ("sandbox",)
    SANDBOX_FIELD_NUMBER: _ClassVar[int]
    sandbox: SandboxHandle
    def __init__(self, sandbox: _Optional[_Union[SandboxHandle, _Mapping[str, _Any]]] = ...) -> None: ...

class GetSandboxResponse(_message.Message):
    __slots__ = ("sandbox",)
    SANDBOX_FIELD_NUMBER: _ClassVar[int]
    sandbox: SandboxHandle
    def __init__(self, sandbox: _Optional[_Union[SandboxHandle, _Mapping[str, _Any]]] = ...) -> None: ...

class ListSandboxesResponse(_message.Message):
    __slots__ = ("sandboxes",)
    SANDBOXES_FIELD_NUMBER: _ClassVar[int]
    sandboxes: _containers.RepeatedCompositeFieldContainer[SandboxHandle]
    def __init__(self, sandboxes: _Optional[_Iterable[_Union[SandboxHandle, _Mapping[str, _Any]]]] = ...) -> None: ...
