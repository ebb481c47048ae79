"""Prints what users see of the package `agents_sandbox`, one fact a key, as JSON.

    python -m tests.peers.surface

It is run by the Python that has the package: a published client's, and this SDK's own.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

PACKAGE = "agents_sandbox"
CLIENT = "AgentsSandboxClient"
MODULES = (PACKAGE, *(f"{PACKAGE}.{name}" for name in ("client", "types", "errors", "models")))

Fact = tuple[str, str]

_MODULE = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def text(value: object) -> str:
    """Render an annotation or a value without the names of modules."""
    shown = value if isinstance(value, str) else inspect.formatannotation(value)
    return _ADDRESS.sub("", _MODULE.sub("", shown))


def public_names(module: Any) -> list[str]:
    """The names that a module exports, or else the classes that it defines."""
    own = [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__.startswith(PACKAGE) and name[0] != "_"
    ]
    return sorted(getattr(module, "__all__", own))


def default(parameter: inspect.Parameter, fields: dict[str, Any]) -> str:
    """Render what a parameter is if it is left out."""
    field = fields.get(parameter.name)
    if field is not None and field.default_factory is not dataclasses.MISSING:
        return repr(field.default_factory())
    if parameter.kind is parameter.VAR_KEYWORD:
        return "none"
    if parameter.default is parameter.empty:
        return "required"
    value = parameter.default
    return value.name if isinstance(value, enum.Enum) else text(repr(value))


def call_facts(name: str, function: Any, fields: dict[str, Any]) -> Iterator[Fact]:
    """Yield the parameters of a function or class, and what a function returns."""
    signature = inspect.signature(function)
    parameters = [one for one in signature.parameters.values() if one.name != "self"]
    for number, parameter in enumerate(parameters, 1):
        named = parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD)
        key = f"{name}({parameter.name})"
        yield f"{key} position", "by name" if named else str(number)
        yield f"{key} default", default(parameter, fields)
        yield f"{key} type", text(parameter.annotation)
    if not inspect.isclass(function):
        awaited = "async " if inspect.iscoroutinefunction(function) else ""
        yield f"{name}() returns", awaited + text(signature.return_annotation)


def class_facts(name: str, kind: type[Any], classes: set[type[Any]]) -> Iterator[Fact]:
    """Yield the bases, members, attributes, parameters and methods of a class."""
    for base in kind.__mro__[1:-1]:
        if base in classes or base.__module__ in ("builtins", "enum"):
            yield f"{name} is a {base.__name__}", "yes"
    if issubclass(kind, enum.Enum):
        for member, value in kind.__members__.items():
            yield f"{name}.{member}", str(int(value.value))
            yield f"{name}({value.value}).name", value.name
        return
    fields: dict[str, Any] = {}
    if dataclasses.is_dataclass(kind):
        fields = {field.name: field for field in dataclasses.fields(kind)}
        yield f"{name} is frozen", str(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]  # of every dataclass
        for field in fields.values():
            yield f"{name}.{field.name} type", text(field.type)
    # Otherwise it takes whatever an exception takes.
    if inspect.isfunction(kind.__init__):
        yield from call_facts(name, kind, fields)
    # Only an instance has all attributes, and these need no argument.
    instance = kind() if issubclass(kind, Exception) or name == CLIENT else None
    for attribute in {*fields, *dir(kind), *dir(instance)}:
        if not attribute.startswith("_") and attribute not in dir(Exception):
            found = getattr(kind, attribute, None)
            yield f"{name}.{attribute}", "method" if inspect.isfunction(found) else "attribute"
            if inspect.isfunction(found):
                yield from call_facts(f"{name}.{attribute}", found, {})


def facts() -> dict[str, str]:
    """Find all facts of the package."""
    found: dict[str, str] = {}
    for path in MODULES:
        module = importlib.import_module(path)
        found |= {f"from {path} import {name}": "yes" for name in public_names(module)}
    package = importlib.import_module(PACKAGE)
    public = {name: getattr(package, name) for name in public_names(package)}
    classes = {value for value in public.values() if inspect.isclass(value)}
    for name, value in public.items():
        if inspect.isclass(value):
            found |= dict(class_facts(name, value, classes))
    return found


if __name__ == "__main__":
    print(json.dumps(facts(), indent=0, sort_keys=True))
