#!/usr/bin/env bash
# Tests and measurements on a GPU: scripts/gpu.sh OUT [PYTHON] [PART...]
# Each part has a time limit. If a part fails, the others still run. The default parts measure
# decoding: tests, step-7b, speed, batches (8 minutes at most). Name other parts to run them:
# step-7b-42, and for training train, ranks, training-time, eager (9.5 minutes at most).
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
    timeout "$limit" "$@" >"$out/$name.out" 2>"$out/$name.err" || { status=1; echo "$name failed: $?"; }
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
exit "$status"
