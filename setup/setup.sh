#!/bin/sh
# Sets this checkout up: system packages, .venv, the package with its extras. Run through `make`; safe to run again.
#   sh setup/setup.sh all        what `make demo` needs
#   sh setup/setup.sh all,dev    what `make test` needs
# Exit 2: something is missing that only you can provide; the message says what.
set -eu
extras=${1:-all}
cd "$(dirname "$0")/.."
venv=.venv
stamp=$venv/foolscan-setup
began=$(date +%s)

say() { printf 'setup: %s (%d s)\n' "$1" "$(($(date +%s) - began))"; }
stop() { printf 'setup: %s\n' "$1" >&2; exit 2; }

# --- Python: PsychoPy runs on 3.11 and 3.12 ------------------------------------------------------------------------
is_supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1; }

find_python() {
  for candidate in ${PYTHON:-} python3.12 python3.11 python3 python; do
    if command -v "$candidate" >/dev/null 2>&1 && is_supported "$candidate"; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

# --- system packages: Debian and Ubuntu ----------------------------------------------------------------------------
is_installed() { dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -q '^installed$'; }
is_known() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [0-9]'; }

case ,$extras, in
  *,dev,*) package_lists='setup/system-packages.txt setup/system-packages-dev.txt' ;;
  *) package_lists=setup/system-packages.txt ;;
esac

missing_packages() {  # one line of alternatives each, as the lists have them
  # shellcheck disable=SC2086
  sed -e 's/#.*//' -e 's/[[:space:]].*//' $package_lists | while read -r choices; do
    [ -n "$choices" ] || continue
    for package in $(printf '%s' "$choices" | tr '|' ' '); do
      is_installed "$package" && continue 2
    done
    printf '%s\n' "$choices"
  done
  # Debian keeps the part of Python that makes environments in a package of its own
  if [ ! -x "$venv/bin/python" ] && ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
  fi
}

known_names() {  # the first alternative this release knows
  for choices in "$@"; do
    name=${choices%%|*}
    for package in $(printf '%s' "$choices" | tr '|' ' '); do
      if is_known "$package"; then name=$package; break; fi
    done
    printf '%s ' "$name"
  done
}

install_system_packages() {
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" = 0 ]; then
    as_root=env
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n env"
  else
    # shellcheck disable=SC2086
    stop "system packages are missing and this is neither root nor can it use sudo without a password. Run this, then the same command again:
  sudo apt-get update && sudo apt-get install --no-install-recommends -y $(known_names $missing)"
  fi
  say "installing system packages: $(printf '%s' "$missing" | wc -w) of them"
  $as_root DEBIAN_FRONTEND=noninteractive apt-get -qq update </dev/null ||
    stop "apt-get update failed: is there a network?"
  # shellcheck disable=SC2046,SC2086
  $as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends $(known_names $missing) </dev/null >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; stop "apt-get could not install: $(known_names $missing)"; }
  say "system packages are installed"
}

# --- the environment -----------------------------------------------------------------------------------------------
wanted_stamp() { cat pyproject.toml setup/setup.sh | cksum | cut -d' ' -f1; }

is_set_up() {  # the environment with [all,dev] serves [all] as well
  [ -x "$venv/bin/python" ] && [ -x "$venv/bin/foolscan" ] && [ -f "$stamp" ] || return 1
  for have in "$extras" all,dev; do
    [ "$(cat "$stamp")" = "$have $(wanted_stamp) $(pwd)" ] && return 0
  done
  return 1
}

log=$(mktemp "${TMPDIR:-/tmp}/foolscan-setup.XXXXXX")
trap 'rm -f "$log"' EXIT

if [ -x "$venv/bin/python" ] && is_supported "$venv/bin/python"; then
  python=$venv/bin/python
else
  python=$(find_python) || stop "foolscan needs Python 3.11 or 3.12 (PsychoPy runs on no newer one); found: $(python3 --version 2>/dev/null || echo none).
  Debian 12: sudo apt-get install python3 python3-venv      Ubuntu 22.04: sudo apt-get install python3.11 python3.11-venv
  elsewhere: pyenv install 3.12, or uv python install 3.12
  or name one: make demo PYTHON=/path/to/python3.12"
  if [ -e "$venv" ]; then
    stop "$venv exists and holds no Python 3.11 or 3.12. Remove it (rm -r $venv) and run the same command again."
  fi
fi

if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
  install_system_packages
elif [ "$(uname -s)" = Linux ] && ! is_set_up; then
  say "this is no Debian or Ubuntu: setup/system-packages.txt lists the libraries that PsychoPy needs here"
fi

is_set_up && exit 0

if [ ! -x "$venv/bin/python" ]; then
  say "making $venv with $("$python" --version)"
  "$python" -m venv "$venv" >"$log" 2>&1 || { cat "$log" >&2; rm -rf "$venv"; stop "the environment $venv could not be made"; }
fi
say "installing foolscan[$extras] into $venv: the first time this downloads about 5 GB (PyTorch) and takes minutes"
rm -f "$stamp"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --progress-bar off -e ".[$extras]" </dev/null >"$log" 2>&1 ||
  { tail -n 30 "$log" >&2; stop "pip could not install foolscan[$extras]; its last lines are above"; }
# The page of the online task needs jsPsych, which is fetched once; a machine that cannot reach npm can do without until then
"$venv/bin/python" -c 'from experiment.online.jspsych import vendored; vendored()' >"$log" 2>&1 </dev/null ||
  say "jsPsych could not be fetched; foolscan online serve will try again"
printf '%s' "$extras $(wanted_stamp) $(pwd)" >"$stamp"
say "done"
