"""The scripts behind the files of a sandbox, and behind the input of a command.

`sh -c SCRIPT agents-sandbox-files OPERATION MARK PATH ...`: a path is always absolute, so it never
looks like an option. What a script reports stands between two marks on its output, so that nothing
else is taken for it: not what the `sh` of an image prints itself, and not half of a file. Exit
codes say why an operation failed; a text that a tool prints decides nothing.

Nothing is checked before it is tried where root has no such limits: `[ -r ]` is always true for
root. After a failure, the script finds out why.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from enum import IntEnum

from .._shared.helpers import FILES, IN_FILE, STDIN, TEMPORARY, encoded_path, stdin_file


class Failure(IntEnum):
    """The exit codes of the scripts. A shell uses 1, 2 and those from 126 on for its own errors."""

    NOT_FOUND = 80
    PERMISSION = 81
    IS_A_DIRECTORY = 82
    NOT_A_DIRECTORY = 83
    EXISTS = 84
    NO_SPACE = 85
    NOT_EMPTY = 86
    NOT_REGULAR = 87
    TOOL_MISSING = 88
    OTHER = 89
    MOUNTED = 90


# `lost PATH` says why nothing is there, and `folder` if `why` says that its folder is missing.
# `mounted PATH`: whether it is a mount. `read_only FOLDER`: whether its file system is mounted so;
# for root, the `[ -w ]` of busybox is true there. `failed FOLDER FILE` says why nothing could be
# made in a folder, and removes the half of a file, after it has looked for free space. What has no
# space at all, such as /proc, is not full.
_COMMON = """\
mark=$2 why=
end() { printf %s "$2$mark"; exit "$1"; }
need() { for tool; do command -v "$tool" >/dev/null || end 88 "$tool"; done; }
lost() {
  at=$1
  while at=${at%/*}; do
    if [ -d "$at/" ]; then
      [ -x "$at/" ] || end 81
      end 80 "$why"
    fi
    [ -e "$at" ] && end 83
  done
}
mounted() {
  where=$(cd "${1%/*}/" && pwd -P)
  while read -r _ at _; do
    [ "$at" = "${where%/}/${1##*/}" ] && return 0
  done </proc/mounts
  return 1
}
read_only() {
  where=$(cd "$1" && pwd -P)/ found=1
  while read -r _ at _ options _; do
    case $where in
      "${at%/}"/*) case $options in ro | ro,*) found=0 ;; *) found=1 ;; esac ;;
    esac
  done </proc/mounts
  return "$found"
}
failed() {
  code=89
  set -- "$1" "$2" $(df -P "$1" | tail -n 1)
  [ "$6" = 0 ] && [ "$4" != 0 ] && code=85
  [ -w "$1" ] && [ -x "$1" ] && ! read_only "$1" || code=81
  [ -z "$2" ] || rm -f "$2"
  end "$code"
}
printf %s "$mark"
path=$(printf '%b.' "$3")
path=${path%.}
shift 3
"""

READ = (
    _COMMON
    + """\
need cat
[ -d "$path" ] && end 82
[ -e "$path" ] || lost "$path"
[ -f "$path" ] || end 87
cat "$path" && end 0
[ -r "$path" ] || end 81
end 89
"""
)

EXISTS = (
    _COMMON
    + """\
[ -e "$path" ] && end 0
lost "$path"
"""
)

# For each pattern that matches: a line `MODE SIZE` for each name, NUL, then each name with a NUL.
# If a file disappears meanwhile, or if there are too many for one call, one name after the other.
LIST = (
    _COMMON
    + """\
need ls stat
if ! [ -d "$path" ]; then
  [ -e "$path" ] && end 83
  lost "$path"
fi
cd "$path" && ls >/dev/null || end 81
flag=-c format='%f %s'
stat -c %s . >/dev/null 2>&1 || flag=-f format='%Xp %z'
entries() { facts=$(stat "$flag" "$format" -- "$@" 2>/dev/null) && printf '%s\\0' "$facts" "$@"; }
for pattern in '*' '.[!.]*' '..?*'; do
  set -- $pattern
  if [ -e "$1" ] || [ -L "$1" ]; then
    entries "$@" || for name; do entries "$name"; done
  fi
done
end 0
"""
)

# Arguments: not empty if all that is in a folder is to be removed, too.
REMOVE = (
    _COMMON
    + """\
need ls rm rmdir
[ -e "$path" ] || [ -L "${path%/}" ] || lost "$path"
[ "$path" = / ] || path=${path%/}
if [ -L "$path" ] || ! [ -d "$path" ]; then
  rm -f "$path" && end 0
elif [ "$1" ]; then
  rm -rf "$path" && end 0
else
  rmdir "$path" && end 0
  [ "$(ls -A "$path")" ] && end 86
fi
mounted "$path" && end 90
at=${path%/*}/
[ -w "$at" ] && ! [ -k "$at" ] && ! read_only "$at" || end 81
end 89
"""
)

# Arguments: not empty if parents are made, too; not empty if the folder may exist.
MKDIR = (
    _COMMON
    + """\
need mkdir
[ -z "$1" ] || mkdir -p "${path%/*}/"
mkdir "$path" && end 0
[ -d "$path" ] && [ "$2" ] && end 0
[ -e "$path" ] || [ -L "$path" ] && end 84
at=${path%/*}
[ -z "$1" ] || while ! [ -e "$at/" ] && ! [ -e "$at" ]; do at=${at%/*}; done
why=folder
[ -d "$at/" ] || lost "$path"
failed "$at/" ""
"""
)

# Arguments: the step, the name of the temporary file, its size after this step, then what to append
# to it, in base64. `first`, `part` and `last` belong to one file, in this order; `only` is all of
# them; `drop` removes the temporary file.
#
# On a full disk, the base64 of busybox writes a part and exits with 0, so the size decides. Its
# `readlink -f` gets lost if a link leads to nothing. Linux follows 40 links. `chmod =rw` is the
# mode of a new file, which the umask limits.
WRITE = (
    _COMMON
    + """\
need base64 chmod mv readlink rm stat wc
step=$1 target=$path links=0
while [ -L "$target" ]; do
  link=$(readlink "$target" && printf .) && [ "$links" -lt 40 ] || end 80
  link=${link%??} links=$((links + 1))
  case $link in
    /*) target=$link ;;
    *) target=${target%/*}/$link ;;
  esac
done
new=${target%/*}/$2 size=$3
shift 3
if [ "$step" = drop ]; then
  rm -f "$new"
  end 0
fi
[ -d "$target" ] && end 82
if [ -e "$target" ]; then
  [ -f "$target" ] || end 87
  [ -w "$target" ] || end 81
  mode=$(stat -c %a "$target" 2>/dev/null || stat -f %Lp "$target")
else
  [ "$links" = 0 ] && why=folder
  [ -d "${new%/*}/" ] || lost "$target"
  mode='=rw'
fi
case $step in part|last) [ -f "$new" ] || end 89 ;; esac
(umask 077; for piece; do printf %s "$piece"; done | base64 -d >>"$new") &&
  [ "$(wc -c <"$new")" -eq "$size" ] || failed "${new%/*}/" "$new"
case $step in first|part) end 0 ;; esac
chmod "$mode" "$new" && mv -f "$new" "$target" && end 0
mounted "$target" && rm -f "$new" && end 90
failed "${new%/*}/" "$new"
"""
)

# Arguments: the file, the input as SIZE:BASE64, and the command. `-`: the file has the input. It is
# removed as soon as it is open. No variable is set: the command could have one of that name.
INPUT = """\
end() { rm -f "$2"; echo "$0 $1 $2" >&2; exit "$1"; }
command -v base64 >/dev/null && command -v rm >/dev/null && command -v wc >/dev/null || end 88 "$1"
if [ "$2" != - ]; then
  (umask 077; printf %s "${2#*:}" | base64 -d >"$1") || end 89 "$1"
  [ "$(wc -c <"$1")" -eq "${2%%:*}" ] || end 89 "$1"
fi
[ -r "$1" ] || end 89 "$1"
exec 3<"$1"
rm -f "$1"
shift 2
exec "$@" <&3 3<&-
"""

_PIECE_BYTES = 3 * 32766
"""In base64, 131,064 bytes without padding: Linux has no longer arguments than 131,071."""

_PIECES = 8
"""So one command line takes 1 MiB, of the 2 MiB that Linux allows by default."""

LARGEST = 8 * 2**20
"""The longest content to write, in bytes: some eleven commands."""


def file_command(operation: str, script: str, mark: str, path: bytes, *args: str) -> list[str]:
    """Return the command for one operation, without a NUL anywhere."""
    return ["sh", "-c", script, FILES, operation, mark, encoded_path(path), *args]


def write_commands(mark: str, path: bytes, temporary: str, data: bytes) -> Iterator[list[str]]:
    """Yield the commands that write a file, one after the other."""
    groups = list(_groups(data))
    for number, (size, pieces) in enumerate(groups, 1):
        if len(groups) == 1:
            step = "only"
        elif number == 1:
            step = "first"
        else:
            step = "last" if number == len(groups) else "part"
        yield file_command("write", WRITE, mark, path, step, temporary, size, *pieces)


def drop_command(mark: str, path: bytes, temporary: str) -> list[str]:
    """Return the command that removes what interrupted writes have left."""
    return file_command("write", WRITE, mark, path, "drop", temporary, "0")


def needs_file(data: bytes) -> bool:
    """Return whether an input is too long for one argument."""
    return len(data) > _PIECE_BYTES


def input_commands(mark: str, temporary: str, data: bytes) -> Iterator[list[str]]:
    """Yield the commands that bring an input to a file, if it needs one."""
    if needs_file(data):
        path = stdin_file(temporary).encode()
        for number, (size, pieces) in enumerate(_groups(data)):
            step = "part" if number else "first"
            yield file_command("write", WRITE, mark, path, step, temporary, size, *pieces)


def command_with_input(command: tuple[str, ...], temporary: str, data: bytes) -> tuple[str, ...]:
    """Return a command that has the data as its input."""
    content = IN_FILE if needs_file(data) else f"{len(data)}:{_base64(data)}"
    return ("sh", "-c", INPUT, STDIN, stdin_file(temporary), content, *command)


def new_mark() -> str:
    """Return a mark, which nobody can guess."""
    return secrets.token_hex(8)


def new_temporary() -> str:
    """Return the name of a new temporary file."""
    return TEMPORARY + secrets.token_hex(16)


def _groups(data: bytes) -> Iterator[tuple[str, list[str]]]:
    size = _PIECE_BYTES * _PIECES
    for begin in range(0, len(data) or 1, size):
        group = data[begin : begin + size]
        yield (
            str(begin + len(group)),
            [_base64(group[at : at + _PIECE_BYTES]) for at in range(0, len(group), _PIECE_BYTES)],
        )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
