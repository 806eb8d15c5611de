#!/bin/sh
# What a user of the released package gets: the wheel is built, installed with its dependencies into a new environment,
# and runs the demo study by its name from a folder that holds nothing else. Run through `make demo-all`.
set -eu
cd "$(dirname "$0")/.."
checkout=$(pwd)
place=$checkout/demo-all
rm -rf "$place"
mkdir -p "$place"

"$checkout/.venv/bin/python" -m build --wheel --outdir "$place/wheel" "$checkout" >"$place/build.log" 2>&1 || {
  tail -n 20 "$place/build.log" >&2
  exit 1
}
"$checkout/.venv/bin/python" -m venv "$place/environment"
wheel=$(ls "$place"/wheel/foolscan-*.whl)
"$place/environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --progress-bar off "$wheel[all]" </dev/null

mkdir "$place/empty"
cd "$place/empty"
"$place/environment/bin/foolscan" rehearse demo --to study
