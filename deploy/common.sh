# What the set-up scripts share. Sourced; sets `root` and a few helpers.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

default_data() {
  local home=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
  printf '%s\n' "${REEVE_DATA:-$home/.local/share/reeve}"
}

# Compilers that find each other's work wherever the checkout lies.
ccache_settings() {
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=1
  local sloppy=pch_defines,time_macros,include_file_mtime,include_file_ctime
  export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-$sloppy}
}

# logged NAME LOG COMMAND...: runs a command with its output in a log, says
# how far it is, and on failure shows the end of the log and its name.
logged() {
  local name=$1 log=$2 pid shown="" now tick=15
  shift 2
  mkdir -p "$(dirname "$log")"
  : >"$log"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  [ -t 1 ] && tick=1
  SECONDS=0
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    if [ "$SECONDS" -ge "$tick" ]; then
      SECONDS=0
      now=$(grep -ao '^\[[0-9]*/[0-9]*\]' "$log" | tail -n 1 || true)
      if [ -n "$now" ] && [ "$now" != "$shown" ]; then
        shown=$now
        if [ -t 1 ]; then printf '\r  %s %s ' "$name" "$now"
        else say "  $name $now"; fi
      fi
    fi
  done
  if [ -t 1 ] && [ -n "$shown" ]; then printf '\r\033[K'; fi
  wait "$pid" && return 0
  # What failed stands first; ninja goes on with what was already running.
  { grep -a -m 20 -A 3 -E 'FAILED:|error:|CMake Error' "$log" ||
    tail -n 20 "$log"; } | head -n 40 >&2 || true
  die "$name failed; the whole output is in $log"
}

# build_preset PRESET LOG TARGET...: configures where needed, then builds.
build_preset() {
  local preset=$1 log=$2 dir=$root/build/$1
  shift 2
  ccache_settings
  if [ ! -f "$dir/build.ninja" ] ||
    [ "$root/CMakePresets.json" -nt "$dir/CMakeCache.txt" ]; then
    say "configuring $preset"
    logged "cmake --preset $preset" "$dir.configure.log" \
      cmake -S "$root" --preset "$preset"
  fi
  if ninja -C "$dir" -n "$@" 2>/dev/null | grep -q 'no work to do'; then
    return 0
  fi
  say "building $preset (log: $log)"
  # Generated headers first: what depends on them is looked at after that.
  logged "schema" "$log" ninja -C "$dir" reeve_schema_code
  logged "build" "$log" ninja -C "$dir" "$@"
}

# Start time of a process in clock ticks since boot: with the pid it names one
# process for ever. Prints nothing when there is no such process.
start_of() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
  # The name may hold spaces and brackets: count from behind it.
  stat=${stat##*) }
  set -- $stat
  [ "$1" = Z ] || printf '%s\n' "${20}"
}

# Notes who was started, so that deploy/down can tell that they are gone.
record_pids() {
  local reeve=$1 data=$2 name pid start
  "$reeve" status --data "$data" --json 2>/dev/null |
    grep -o '"[a-z_]*pid": *[0-9]*' | tr -s '": ' ' ' |
    while read -r name pid; do
      [ "${pid:-0}" -gt 1 ] || continue
      start=$(start_of "$pid")
      [ -z "$start" ] || echo "$name $pid $start"
    done >"$data/up.pids" || true
}

# start_cell REEVE DATA [OPTION]...: "reeve up" with the options, and a first
# session in a cell that was not up.
start_cell() {
  local reeve=$1 data=$2 is_up=no
  shift 2
  ! "$reeve" status --data "$data" --json >/dev/null 2>&1 || is_up=yes
  [ "$is_up" = yes ] || say "starting a cell with its data in $data"
  if ! "$reeve" up --detach --data "$data" "$@"; then
    [ "$is_up" = no ] || die "the cell goes on as it was (see above)"
    die "the cell did not start (see above; the logs are in $data)"
  fi
  [ "$is_up" = no ] || return 0
  record_pids "$reeve" "$data"

  # $(uname -n) is for the session's own shell.
  # shellcheck disable=SC2016
  local example='echo "hello from $(uname -n), rank $RANK of $WORLD_SIZE"'
  say
  say "running a first session:"
  say "  reeve run --name hello --cpus 1 --mem 64M -- sh -c '$example'"
  if ! "$reeve" run --data "$data" --name hello --cpus 1 --mem 64M -- \
    sh -c "$example"; then
    die "the example session failed; 'reeve ps --all' and" \
      "'reeve why ID' say more (REEVE_DATA=$data)"
  fi
}

# next_steps SETTINGS END: what to do with the cell; SETTINGS is a line for the
# shell, END says what stops the cell.
next_steps() {
  cat <<TEXT

Look around (every command takes --json and --help):
  $1
  reeve status           the cell in one page
  reeve ps --all         its sessions
  reeve show ID          one session: where it ran, what it held, how it ended
  reeve logs ID          what it printed
  reeve events -f        every change as it happens
The README goes on from here. $2
TEXT
}
