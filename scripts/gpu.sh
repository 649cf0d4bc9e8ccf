#!/usr/bin/env bash
# Tests and measurements on a GPU: scripts/gpu.sh OUT [PYTHON] [PART...]
# Each part has a time limit. If a part fails, the others still run. The default parts measure
# decoding: tests, step-7b, speed, batches (8 minutes at most). Name other parts to run them:
# step-7b-42, and for training train, ranks, training-time, eager (9.5 minutes at most).
# The model that ships takes three calls of ten minutes at most: small-data, small (as often as
# SMALL_MINUTES needs it: it goes on where it was stopped), small-scores. Before the first call,
# data/shards/packages travels as pieces:
#   tar c -C data/shards packages | xz -T0 | split -b 60M - runs/pieces/packages.tar.xz.
set -uo pipefail
out=${1:?usage: scripts/gpu.sh OUT [PYTHON] [PART...]}
python=${2:-python3}
parts=${*:3}
parts=${parts:-tests step-7b speed batches}
cd "$(dirname "$0")/.."
mkdir -p "$out"
# Keep compiled code here, for a second call on the same machine.
export TORCHINDUCTOR_CACHE_DIR=${TORCHINDUCTOR_CACHE_DIR:-$PWD/runs/.cache/inductor}
device=${DEVICE:-cuda}
status=0
part() {  # part NAME SECONDS COMMAND...
    local name=$1 limit=$2
    shift 2
    case " $parts " in *" $name "*) ;; *) return ;; esac
    echo "== $name"
    local begun=$SECONDS
    timeout "$limit" "$@" >"$out/$name.out" 2>"$out/$name.err" || { echo "$name failed: $?"; status=1; }
    echo "$name took $((SECONDS - begun)) s"
    tail -c 2000 "$out/$name.err" | tr '\r' '\n' | tail -n 20
}
test -f data/shards/stdlib/manifest.json ||
    timeout 60 "$python" -m data build --recipe stdlib --out data/shards/stdlib >"$out/data.out" 2>&1
part tests 90 "$python" -m pytest tests/bytelm/decode/test_cuda.py tests/bytelm/training/test_cuda.py \
    tests/bytelm/training/test_cost.py tests/bytelm/plan/test_activations.py -k "cuda or gpu"
step=(--preset "${PRESET:-paper-7b}" --device "$device" --dtype bfloat16 --engine compiled --positions 2000)
part step-7b 90 "$python" -m eval step "${step[@]}" --widths 1 2 4 8 --batches 1 16 --out "$out/step-7b.json"
# Each width has its own KV cache. At this batch size, only two of them fit into memory.
part step-7b-42 90 "$python" -m eval step "${step[@]}" --widths 1 8 --batches 42 --out "$out/step-7b-42.json"
text=${TEXT:-data/shards/stdlib}
part speed 130 "$python" -m eval speed --checkpoint weights/small --data "$text" --device "$device" \
    --engine compiled --dtype bfloat16 --heads 1 2 4 8 --batches 16 1 --prompts 48 --rounds 2 --out "$out/speed.json"
part batches 130 "$python" -m eval speed --checkpoint weights/small --data "$text" --device "$device" \
    --engine compiled --dtype bfloat16 --heads 1 2 4 8 --batches 1 4 16 64 --prompts 64 --prompts-per-row 1 --rounds 1 \
    --out "$out/batches.json"
# Training: bytes per second and MFU, compiled and eager; one rank of FSDP2 on NCCL; Table S5.
size=(--preset "${TRAIN_PRESET:-paper-30m}" --data data/shards/stdlib --train.block 2048 --train.batch 32)
part train 130 "$python" -m bytelm train "${size[@]}" --run "$out/run-30m" --device "$device" --minutes "${MINUTES:-1.5}"
part ranks 100 "$python" -m torch.distributed.run --standalone --nproc-per-node 1 -m bytelm train "${size[@]}" \
    --run-folder "$out/run-ranks" --device "$device" --minutes "${MINUTES:-1}"
part training-time 240 "$python" -m eval training-time --preset "${TRAIN_PRESET:-paper-30m}" --device "$device" \
    --block 2048 --batch 32 --heads 1 2 4 8 --kinds unembed block --steps 20 --plain --out "$out/training-time.json"
part eager 90 "$python" -m eval training-time --preset "${TRAIN_PRESET:-paper-30m}" --device "$device" \
    --block 2048 --batch 32 --heads 1 8 --kinds unembed --steps 5 --eager --out "$out/training-time-eager.json"
# The model that ships. It is stopped after 565 s, saves, and goes on in the next call.
part small-data 500 bash -c 'set -e; python=$1; out=$2; mkdir -p data/shards
    cat "${PIECES:-runs/pieces}"/* | xz -d | tar x -C data/shards
    exec "$python" -m data build --recipe scripts/small.toml --benchmark eval/suites/micro.jsonl \
        --out data/shards/small ${SMALL_DATA:-}' - "$python" "$out"
run=runs/small
# 32M parameters: what 64 MB hold in bfloat16.
part small 565 "$python" -m bytelm train --preset small --data data/shards/small --run "$run" --device "$device" \
    --minutes "${SMALL_MINUTES:-19}" --resume --model.width 576 --model.layers 8 --model.hidden 1536 --train.block 2560 \
    --train.whole-documents --train.infilling 0.5 --train.no-stages --eval-steps 400 --save-minutes 3 ${SMALL_TRAIN:-}
# What comes back: the weights in pieces of less than 16 MiB, and the rest in one file.
part small-scores 570 bash -c 'set -e; python=$1 out=$2 run=$3 device=$4; to=$out/scores
    mkdir -p "$to"
    "$python" -m bytelm export --checkpoint "$run" --format bytelm --dtype bfloat16 --out "$to/weights"
    split -b 16000K "$to/weights/model.safetensors" "$out/weights.part-"
    rm "$to/weights/model.safetensors"
    cp "$run/metrics.jsonl" "$run/config.json" "$run/summary.json" "$to/weights"
    "$python" -m eval bits data/shards/stdlib --checkpoint "$run" --device "$device" --out "$to/bits.json"
    for suite in exercises micro humaneval; do
        "$python" -m eval complete --suite "$suite" --checkpoint "$run" --device "$device" \
            --out "$to/$suite.jsonl" ${SMALL_COMPLETE:-}
        "$python" -m eval grade --suite "$suite" --samples "$to/$suite.jsonl" --out "$to/$suite.json" ||
            echo "no sandbox here: grade $suite.jsonl elsewhere"
    done
    tar czf "$out/scores.tgz" -C "$to" . && rm -r "$to"' - "$python" "$out" "$run" "$device"
exit "$status"
