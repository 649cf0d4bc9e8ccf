#!/usr/bin/env bash
# What waits for a machine with a GPU, in under 9 minutes: scripts/gpu.sh OUT [PYTHON]
# Each part has its own limit, and one that fails leaves the others their turn.
set -uo pipefail
out=${1:?usage: scripts/gpu.sh OUT [PYTHON]}
python=${2:-python3}
cd "$(dirname "$0")/.."
mkdir -p "$out"
status=0
part() {  # part NAME SECONDS COMMAND...
    local name=$1 limit=$2
    shift 2
    echo "== $name"
    timeout "$limit" "$@" >"$out/$name.out" 2>"$out/$name.err" || { status=1; echo "$name failed: $?"; }
    tail -n 20 "$out/$name.out"
}
part tests 120 "$python" -m pytest tests/bytelm/decode/test_cuda.py
test -f data/shards/stdlib/manifest.json ||
    part data 60 "$python" -m data build --recipe stdlib --out data/shards/stdlib
part step-7b 150 "$python" -m eval step --preset paper-7b --device cuda --dtype bfloat16 \
    --widths 1 2 4 8 --batches 1 16 42 --positions 1024 2000 --out "$out/step-7b.json"
part bench 210 "$python" -m eval bench --device cuda --no-peers --rounds 2 --prompts 32 \
    --batches 1 4 16 64 --out "$out/bench-gpu.json"
exit "$status"
