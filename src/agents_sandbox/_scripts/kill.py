"""Kills the processes of an exec.

The daemon has no call for it, so a second exec does it. Nothing marks the processes of an exec at
their start, because that would change what the command sees. The script finds them in `/proc`:

- An exec's leader leads a session, and has the same parent as the script, which is an exec itself.
  In a container this parent is outside, and `/proc` says 0.
- The leader's stdout or stderr is its log file. The folder of the logs is mounted in the sandbox,
  but where is not known, so the script looks at all mounts. A shell may have saved it elsewhere
  while one of its commands has another output.
- A leader that has redirected both, or has removed its logs, is not recognised. Its argv does not
  identify it: the command of an exec that was cancelled runs on, and may have the same.
- To an exec belong its leader's session, all that descend from it, and processes without a parent
  whose stdout or stderr is its log.

They are stopped first: a stopped process cannot fork, and its children do not lose their parent.

It only uses what is built into shells, and `/proc` of Linux.
"""

from __future__ import annotations

from .._shared.helpers import KILL, KillExit

_SCRIPT = r"""
exec 2>/dev/null
LC_ALL=C IFS=
log=$2

# Sets the state, parent and session of a process; fails if it has ended.
stat() {
  text=
  while read -r line || [ "$line" ]; do text="$text $line"; done <"/proc/$1/stat" || return
  IFS=' '
  # The name of the program can contain anything, also ")".
  set -- ${text##*)}
  IFS=
  state=$1 parent=$2 session=$4
  case $state in '' | [ZXx]) return 1 ;; esac
}

# Sets `out` and `err` to the log files of the exec: the longest end of its path below a mount.
find_logs() {
  while IFS=' ' read -r _ _ _ _ point _; do
    case $point in *\\*)
      # `\040` is a space. In `printf %b` that is `\0040`: more digits may follow.
      rest=$point point=
      while [ "$rest" != "${rest#*\\}" ]; do
        point="$point${rest%%\\*}\\0" rest=${rest#*\\}
      done
      point=$(printf '%b.' "$point$rest") && point=${point%.} ;;
    esac
    end=${log#/}
    while out=$point/$end && ! [ -e "$out" ]; do
      case $end in */*) end=${end#*/} ;; *) continue 2 ;; esac
    done
    return
  done </proc/self/mountinfo
  # An image may have this program, which tells where the script's own log is.
  own=$(readlink "/proc/$$/fd/1") && out=${own%/*}/${log##*/} || out=$log
}

# Whether the stdout or stderr of a process is one of the files.
writes() {
  writer=$1
  shift
  for file; do
    [ "/proc/$writer/fd/1" -ef "$file" ] || [ "/proc/$writer/fd/2" -ef "$file" ] && return
  done
  return 1
}

# Whether a process can write to one of the files under a number that shells use for what they save.
saves() {
  for number in 10 11 12 13 14 15 16 17 18 19; do
    for file in "$out" "$err"; do
      [ "/proc/$1/fd/$number" -ef "$file" ] || continue
      # Octal: the last digit has the access mode.
      while read -r line; do
        case $line in flags:*[1256]) return ;; esac
      done <"/proc/$1/fdinfo/$number"
    done
  done
  return 1
}

# Whether the session of a process, or the process that all its ancestors descend from, is of
# another exec.
of_another() {
  stat "$1" || return
  other=$session
  while [ "$parent" != "$top" ] && [ "$parent" -gt 1 ]; do
    set -- "$parent"
    stat "$1" || break
  done
  [ "$parent" = "$top" ] && [ "$1" != "$leader" ] && return
  [ "$other" != "$leader" ] && [ "$other" != 1 ] && stat "$other" && [ "$parent" = "$top" ]
}

stat $$ && [ -r /proc/self/mountinfo ] || exit NO_PROC
top=$parent
find_logs
err=${out%.stdout.log}.stderr.log

leader=
for process in /proc/[0-9]*; do
  pid=${process#/proc/}
  [ "$pid" != 1 ] && [ "$pid" != $$ ] && stat "$pid" || continue
  [ "$session" = "$pid" ] && [ "$parent" = "$top" ] || continue
  if writes "$pid" "$out" "$err" || saves "$pid"; then
    leader=$pid
    break
  fi
done
[ "$leader" ] || exit NOT_FOUND

take() {
  kill -STOP "$1"
  # Numbers, so that nothing else is evaluated.
  eval "of_exec_$1=1"
  # 0: the session of the kernel and of processes outside.
  [ "$2" -gt 1 ] && eval "session_$2=1"
  taken="$taken $1"
  fresh=1
}

kill -STOP "-$leader"
taken='' fresh=''
take "$leader" "$leader"
while [ "$fresh" ]; do
  fresh=
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    eval "known=\$of_exec_$pid"
    [ "$known" ] || [ "$pid" = 1 ] || [ "$pid" = $$ ] || [ "$pid" = "$top" ] && continue
    stat "$pid" || continue
    eval "ours=\$of_exec_$parent\$session_$session"
    belongs_to=$session
    if [ "$ours" ] || { writes "$pid" "$out" "$err" && ! of_another "$pid"; }; then
      take "$pid" "$belongs_to"
    fi
  done
done

IFS=' '
set -- $taken
IFS=
kill -KILL "-$leader"
kill -KILL "$@"
# The end of a process takes a moment. One that does not end now ends as soon as it can.
for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  left=
  for pid; do
    stat "$pid" || continue
    left=1
    kill -KILL "$pid" || ! stat "$pid" || exit NOT_PERMITTED
  done
  [ "$left" ] || break
done
exit KILLED
"""

for _name, _code in vars(KillExit).items():
    if _name.isupper():
        _SCRIPT = _SCRIPT.replace(f"exit {_name}", f"exit {_code}")


def kill_command(exec_id: str, log_path: str) -> tuple[str, ...]:
    """Return the argv that kills an exec, for another exec in its sandbox.

    Args:
        exec_id: The exec.
        log_path: The path of its stdout log: that on the daemon's host, or the end of it.
    """
    return ("sh", "-c", _SCRIPT, KILL, exec_id, log_path)
