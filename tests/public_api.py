"""Renders the public API as text, one sorted line per fact; as a program, it records a release's.

The text is the same on every Python and names no private module: it shows what users see, not
where the code is.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from types import GenericAlias, ModuleType
from typing import Any
from unittest.mock import Mock

import click

import agents_sandbox
import agents_sandbox.telemetry
import agents_sandbox.testing
import pytest_agents_sandbox
from agents_sandbox import errors
from agents_sandbox._arguments import creates
from agents_sandbox._cli.program import program
from agents_sandbox.testing._arguments import make_parser

FILE = Path(__file__).with_name("public_api.txt")

PUBLIC: dict[str, Any] = {
    name: getattr(package, name)
    for package in (agents_sandbox, agents_sandbox.telemetry, agents_sandbox.testing)
    for name in package.__all__
}

# Only the package creates these objects, from private ones: users do not call the constructors.
MADE_BY_THE_PACKAGE = {
    *("AsyncSandboxEventStream", "SyncSandboxEventStream"),
    *("PooledSandbox", "SyncPooledSandbox"),
    *("SandboxLifetime", "SyncSandboxLifetime"),
    *("SandboxPool", "SyncSandboxPool"),
    *("SandboxScope", "SyncSandboxScope", "SandboxLeftoverWarning"),
    *("ExecOutput", "ExecProcess", "SyncExecOutput", "SyncExecProcess"),
    *("Table", "Timeline"),
    *("Chaos", "ExecContext", "ExecScript", "Fault", "Faults", "Pause"),
}

_MODULES = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")
_FUNCTION = re.compile(r"<function .+? at 0x[0-9A-Fa-f]+>")
_TYPED_DICTS = {**vars(errors), **vars(creates)}
_UNPACKED = re.compile(r"Unpack\[(\w+)\]")
_PROTOCOL = re.compile(r"__a?(enter|exit|iter|next)__|__call__|__getitem__|__len__")
_DEFINED = re.compile(r"^(?:class |def |async def )?([A-Za-z]\w*)(?:\(|:| =)", re.MULTILINE)
_SET_ON_SELF = re.compile(r"^ +self\.([a-z]\w*)(?:: (.+?))? = ", re.MULTILINE)


def type_text(annotation: object) -> str:
    """Render an annotation, given as an object or as source, without the names of modules."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _MODULES.sub("", text)


def is_class(value: object) -> bool:
    """Whether it is a class; Python 3.10 also takes `list[int]` and the like for classes."""
    return isinstance(value, type) and not isinstance(value, GenericAlias)


# If a module keeps annotations as objects, an alias has been replaced by its definition.
_ALIASES = {
    type_text(value): name
    for name, value in PUBLIC.items()
    if not (is_class(value) or isinstance(value, str))
}


def alias_text(annotation: object) -> str:
    """Render an annotation with the names of public aliases."""
    text = type_text(annotation)
    for meaning, name in _ALIASES.items():
        text = text.replace(meaning, name)
    return text


def value_text(value: object) -> str:
    """Render a value; the repr of a function is not the same everywhere."""
    return _MODULES.sub("", _FUNCTION.sub("<function>", repr(value)))


class _Verbatim:
    """Appears in a signature exactly as given."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _keywords(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    """Write out the keywords for which a `TypedDict` stands."""
    unpacked = _UNPACKED.fullmatch(str(parameter.annotation))
    if unpacked is None:
        yield parameter
        return
    for name, annotation in inspect.get_annotations(_TYPED_DICTS[unpacked[1]]).items():
        yield inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_Verbatim("..."),
            annotation=annotation.__forward_arg__,
        )


def _shown(parameter: inspect.Parameter) -> inspect.Parameter:
    shown = parameter
    if parameter.annotation is not parameter.empty:
        shown = shown.replace(annotation=_Verbatim(alias_text(parameter.annotation)))
    if parameter.default is not parameter.empty:
        shown = shown.replace(default=_Verbatim(value_text(parameter.default)))
    return shown


def returned_text(function: Any) -> str:
    """Render what a function returns."""
    return alias_text(inspect.signature(function).return_annotation)


def signature_text(function: Any) -> str:
    """Render the parameters of a function or class, and what a function returns."""
    signature = inspect.signature(function)
    signature = signature.replace(
        parameters=[
            _shown(keyword)
            for parameter in signature.parameters.values()
            for keyword in _keywords(parameter)
        ]
    )
    if is_class(function):
        return str(signature.replace(return_annotation=signature.empty))
    returned = returned_text(function)
    if hasattr(function, "__wrapped__"):  # by contextmanager()
        returned = returned.replace("Iterator", "AbstractContextManager")
    text = str(signature.replace(return_annotation=_Verbatim(returned)))
    return f" async {text}" if inspect.iscoroutinefunction(function) else text


def is_private(kind: Any) -> bool:
    """Whether a class is ours but not public: its members count as those of its subclasses."""
    return kind.__module__.startswith("agents_sandbox") and kind not in PUBLIC.values()


def bases(kind: type[Any]) -> Iterator[str]:
    """Render the public bases of a class."""
    all_bases = vars(kind).get("__orig_bases__", kind.__bases__)
    for base in all_bases:
        if is_private(base):
            # Only those that no other base has anyway.
            if not any(
                issubclass(other, base.__bases__) for other in all_bases if other is not base
            ):
                yield from bases(base)
        elif base is not object:
            yield type_text(base)


def attributes(kind: type[Any]) -> Iterator[str]:
    """Render the attributes that a class declares, assigns, or sets in its constructor."""
    own = vars(kind)
    types: dict[str, Any] = {name: None for name, value in own.items() if isinstance(value, bool)}
    types |= inspect.get_annotations(kind)
    values: Mapping[str, Any] = own
    if dataclasses.is_dataclass(kind):
        values = {field.name: field.default for field in dataclasses.fields(kind)}
    elif "__init__" in own:
        parameters = inspect.signature(kind).parameters
        for name, annotation in _SET_ON_SELF.findall(inspect.getsource(own["__init__"])):
            if annotation or name in parameters:
                types.setdefault(name, annotation or parameters[name].annotation)
    if issubclass(kind, Exception):
        bare = kind()
        values = {name: getattr(bare, name) for name in types}
    for name, annotation in types.items():
        if not name.startswith("_"):
            known = values.get(name, dataclasses.MISSING) is not dataclasses.MISSING
            of_type = f": {alias_text(annotation)}" if annotation else ""
            yield f".{name}{of_type}" + (f" = {value_text(values[name])}" if known else "")


def methods(kind: type[Any]) -> Iterator[str]:
    """Render the methods and properties that a class does not inherit from a public class."""
    own: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base is kind or is_private(base):
            own |= vars(base)
    for name, value in own.items():
        if name.startswith("_") and not _PROTOCOL.fullmatch(name):
            continue
        if isinstance(value, property):
            yield f".{name}: property {returned_text(value.fget)}"
        elif inspect.isroutine(value):
            yield f".{name}{signature_text(getattr(kind, name))}"


def is_frozen(kind: Any) -> bool:
    """Whether the attributes of a dataclass cannot be set."""
    return bool(kind.__dataclass_params__.frozen)


def class_lines(kind: type[Any]) -> Iterator[str]:
    """Render a class; each line is the part after its name."""
    what = "class"
    if dataclasses.is_dataclass(kind):
        what = "frozen dataclass" if is_frozen(kind) else "dataclass"
    yield f": {what}({', '.join(bases(kind))})"
    yield from methods(kind)
    if issubclass(kind, enum.Enum):
        yield from (f".{name} = {one.value}" for name, one in kind.__members__.items())
        return
    yield from attributes(kind)
    if kind.__name__ not in MADE_BY_THE_PACKAGE:
        yield signature_text(kind)


def public_modules(module: ModuleType) -> Iterator[ModuleType]:
    """Find a package and its modules whose names do not begin with an underscore."""
    yield module
    for _, name, _ in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not name.startswith("_"):
            yield from public_modules(importlib.import_module(f"{module.__name__}.{name}"))


def names(module: ModuleType) -> list[str]:
    """Return the public names of a module: its `__all__`, or else what it defines."""
    defined = _DEFINED.findall(inspect.getsource(module))
    return getattr(module, "__all__", [name for name in defined if hasattr(module, name)])


def module_lines(module: ModuleType) -> Iterator[str]:
    """Render a module of the package, and each public name in it."""
    yield f"{module.__name__}: module"
    for name in names(module):
        value, where = getattr(module, name), f"{module.__name__}.{name}"
        if isinstance(value, str):
            yield f"{where}: str"
        elif isinstance(value, Mapping):
            yield from (f"{where}[{key!r}] = {type_text(one)}" for key, one in value.items())
        elif inspect.isfunction(value):
            yield where + signature_text(value)
        elif not is_class(value):
            yield f"{where} = {type_text(value)}"
        elif value.__module__ == module.__name__:
            yield from (where + line for line in class_lines(value))
        else:
            yield f"{where} = {value.__module__}.{name}"


def plugin_lines() -> Iterator[str]:
    """Render the pytest plugin: its entry point, names, fixtures, options and marker."""
    package = pytest_agents_sandbox
    for entry in distribution("agents-sandbox").entry_points:
        yield f"{entry.group}: {entry.name} = {entry.value}"
    for name in package.__all__:
        value: Any = getattr(package, name)
        yield f"{package.__name__}.{name}"
        marker = getattr(value, "_fixture_function_marker", None)
        if marker is not None:
            yield f"pytest --fixtures {name}: {returned_text(value)}, scope={marker.scope}"
    recorder = Mock(**{"getoption.return_value": None})
    package.pytest_addoption(recorder)
    ini = {call.args[0]: call.kwargs["default"] for call in recorder.addini.call_args_list}
    recorder.getini.side_effect = ini.get
    package.pytest_configure(recorder)
    for option in recorder.getgroup().addoption.call_args_list:
        yield f"pytest {' '.join(option.args)}: metavar={option.kwargs.get('metavar')}"
    for name, default in ini.items():
        yield f"pytest ini {name}: default={default!r}"
    for line in recorder.addinivalue_line.call_args_list:
        yield f"pytest --markers {line.args[1].partition(': ')[0]}"


def program_lines() -> Iterator[str]:
    """Render the options of `python -m agents_sandbox.testing`."""
    for option in make_parser()._actions:
        facts = ("metavar", "nargs", "choices", "default", "required")
        shown = [f"{fact}={value!r}" for fact in facts if (value := getattr(option, fact))]
        yield f"python -m agents_sandbox.testing {option.option_strings[-1]}: {', '.join(shown)}"


def command_line_lines() -> Iterator[str]:
    """Render the commands of `agents-sandbox`, with their arguments and options."""
    for name, command in sorted(program.commands.items()):
        yield f"agents-sandbox {name}: command"
        for one in command.params:
            facts = ("metavar", "nargs", "is_flag", "default", "required")
            shown = [f"{fact}={value!r}" for fact in facts if (value := getattr(one, fact, None))]
            what = "/".join(one.opts) if isinstance(one, click.Option) else f"<{one.name}>"
            yield f"agents-sandbox {name} {what}: {', '.join(shown)}"


def public_api() -> str:
    """Render the whole public API."""
    modules = public_modules(agents_sandbox)
    lines = {line for module in modules for line in module_lines(module)}
    lines |= {*plugin_lines(), *program_lines(), *command_line_lines()}
    return "".join(f"{line}\n" for line in sorted(lines))


def recorded() -> tuple[str, str]:
    """Return the version whose public API was recorded last, and that API."""
    title, _, text = FILE.read_text("utf-8").partition("\n")
    return title.removeprefix("agents_sandbox "), text


if __name__ == "__main__":
    FILE.write_text(f"agents_sandbox {agents_sandbox.__version__}\n{public_api()}", "utf-8")
