#!/usr/bin/env bash
# run.sh [--device cuda[:N]|emulated[:sm_XX]] [--out FOLDER] [--full] [--steps LIST] [--precisions LIST] [--jobs N] [--seconds N]: everything there is
# to know about KernelAD on this machine's GPU; see README.md. Needs a driver and nothing else. Exit code 0: correctness held; 1: it did not; 2: wrong usage.
set -uo pipefail
cd "$(dirname "$0")"
all=doctor,instructions,kernels,golden,bench,profile,products,peers,ncu,sanitizer
device=cuda:0 out="" full=no steps=$all precisions="" jobs="" seconds=""
usage() { echo "usage: run.sh [--device cuda[:N]|emulated[:sm_XX]] [--out FOLDER] [--full] [--steps $all] [--precisions fp32,tf32,fp16] [--jobs N] [--seconds N]" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --device) device=${2:-}; shift 2 || usage ;;
        --out) out=${2:-}; shift 2 || usage ;;
        --full) full=yes; shift ;;
        --steps) steps=${2:-}; shift 2 || usage ;;
        --precisions) precisions=${2:-}; shift 2 || usage ;;
        --jobs) jobs=${2:-}; shift 2 || usage ;;
        --seconds) seconds=${2:-}; shift 2 || usage ;;
        *) usage ;;
    esac
done
case $device in
    cuda | cuda:*) emulated=no full=yes ;;
    emulated | emulated:*) emulated=yes ;;
    *) usage ;;
esac
# The emulator takes all cores for one job; on a GPU most of a test's time is its reference's on the CPU.
[ -n "$jobs" ] || { [ $emulated = yes ] && jobs=1 || jobs=$(nproc); }
out=${out:-results-${device/:/-}-$(date +%Y%m%d-%H%M%S)}
# A folder is one run on one device: results of two must never meet.
mkdir -p "$(dirname "$out")" && mkdir "$out" || { echo "$out: give a folder that is not there yet" >&2; exit 2; }
out=$(cd "$out" && pwd)
mkdir "$out/logs" "$out/models" "$out/parts"
kernelad=$PWD/kernelad/kernelad checks=$PWD/checks/gpu-checks
export PATH="$PATH:/usr/local/cuda/bin" DOTNET_gcServer=0

wanted() { [[ ",$steps," = *,$1,* ]]; }
note() {  # note NAME OUTCOME SECONDS DECIDES NOTE
    printf '{"step":"%s","outcome":"%s","seconds":%d,"decides":%s,"note":"%s"}\n' "$1" "$2" "$3" "$4" "$(printf %s "$5" | tr -d '"\\\n\t')" >> "$out/steps.jsonl"
    printf '%-38s %-9s %4d s  %s\n' "$1" "$2" "$3" "$5"
}
skip() { note "$1" skipped 0 false "$2"; }
step() {  # step NAME DECIDES LIMIT COMMAND…: what it prints goes to logs/NAME.log; whether it decides over the exit code: true or false
    local name=$1 decides=$2 limit=$3 log="$out/logs/${1// /-}.log" start=$SECONDS status
    shift 3
    if [ -n "$seconds" ]; then
        local left=$((seconds - SECONDS))
        [ $left -ge 5 ] || { note "$name" skipped 0 "$decides" "no time left"; return 1; }
        [ $left -ge $limit ] || limit=$left
    fi
    timeout --kill-after=15 "$limit" "$@" > "$log" 2>&1
    status=$?
    case $status in
        0) note "$name" passed $((SECONDS - start)) "$decides" "" ;;
        124 | 137) note "$name" "timed out" $((SECONDS - start)) "$decides" "limit $limit s" ;;
        *) note "$name" failed $((SECONDS - start)) "$decides" "exit code $status: $(grep -v '^ *$' "$log" | tail -n 1 | cut -c1-300)" ;;
    esac
    return $status
}
beside() { while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done; "$@" & }  # beside COMMAND…: runs it beside others
gather() {  # gather FILE: waits for all that run, then puts what they left in parts/ together
    wait
    find "$out/parts" -name '*.jsonl' -print0 | sort -z | xargs -0 -r cat >> "$out/$1"
    rm -f "$out/parts"/*
}
json() {  # json FILE MEMBERS COMMAND…: adds the JSON lines that the command prints to a file, with more members in front
    local file=$1 members=$2 lines status
    shift 2
    lines=$("$@")
    status=$?
    [ -z "$lines" ] || printf '%s\n' "$lines" | tee >(sed "s|^{|{$members|" >> "$out/$file")
    return $status
}
export -f json
export out

step "device" true 120 "$checks" device --device "$device" --out "$out/device.jsonl" || { cat "$out/logs/device.log" >&2; exit 1; }
head -n 1 "$out/logs/device.log"
architecture=$(sed -n 's/.*"architecture":"sm_\([0-9]*\)".*/\1/p' "$out/device.jsonl")
[ -n "$precisions" ] || { [ "$architecture" -lt 80 ] && precisions=fp16,fp32 || precisions=fp16,tf32,fp32; }
precisions=${precisions//,/ }
if [ $emulated = no ] && command -v nvidia-smi > /dev/null; then
    nvidia-smi --query-gpu=name,driver_version,pstate,clocks.max.sm,power.limit,memory.total,pci.bus_id --format=csv > "$out/nvidia-smi.txt" 2>&1
fi

# (a) What is here.
wanted doctor && step "doctor" true 120 "$kernelad" doctor
# (b) How the instructions behave, before anything is built on them.
wanted instructions && step "instructions" true 300 "$checks" instructions --device "$device" --out "$out/instructions.jsonl" --raw "$out/instructions"
# (c) Every kernel.
if wanted kernels; then
    for family in $("$checks" families); do
        beside step "kernels $family" true 900 "$checks" kernels --device "$device" --out "$out/parts/$family.jsonl" --family "$family"
    done
    gather kernels.jsonl
fi

# (d) Golden cases. On the emulator the published sizes take minutes each: one of them in fp32 only, unless --full.
verify() { step "verify $1 $3" true 1800 bash -c 'json "$@"' _ "parts/$1-$3.jsonl" '' "$kernelad" verify "$out/models/$1.safetensors" --golden "$2" --device "$device" --precision "$3" --json; }
# A case of several variants of a model has no one model file.
cases=$(cd golden && find . -name tolerances.json | sed 's|^\./||; s|/tolerances.json$||' | grep -v '_variants$' | sort)
made() {  # made CASE…: model files for golden cases
    local case
    for case in "$@"; do
        [ -e "$out/models/${case/\//-}.safetensors" ] || beside step "model ${case/\//-}" true 600 "$checks" models --golden "golden/$case" --out "$out/models"
    done
    wait
}
if wanted golden; then
    chosen=$cases
    if [ $full = no ]; then
        chosen=$(echo "$cases" | grep -v -e '/full' ; echo vitad/full)
        skip "verify of published sizes" "too slow on the emulator but for vitad-full in fp32; --full runs them"
    fi
    made $chosen
    for case in $chosen; do
        for precision in $precisions; do
            [ $full = yes ] || [ "$case" != vitad/full ] || [ "$precision" = fp32 ] || continue
            # Its attention is so sharp that rounding the weights alone moves its scores out of bounds; see EmulatedTests.Reachable.
            [[ $case != *_masks ]] || [ "$precision" = fp32 ] || continue
            beside verify "${case/\//-}" "golden/$case" "$precision"
        done
    done
    gather golden.jsonl
fi

# (e) Times: nothing runs beside them.
bench() { step "bench $1 $2" false 600 bash -c 'json "$@"' _ bench.jsonl "\"file\":\"$1\"," "$kernelad" bench "$3" --device "$device" --precision "$2" --batch "$4" --threads 1 --duration "$5" --json; }
profile() { step "profile $1 $2" false 600 bash -c 'json "$@"' _ "profile-$1-$2.jsonl" '' "$kernelad" profile "$3" --device "$device" --precision "$2" --runs "$4" --json; }
published=$(echo "$cases" | grep '/full$' | sed 's|/full||')
if [ $emulated = yes ]; then
    if wanted bench || wanted profile; then
        made vitad/tiny
        bench vitad-tiny fp32 "$out/models/vitad-tiny.safetensors" 1 0.5
        profile vitad-tiny fp32 "$out/models/vitad-tiny.safetensors" 1
    fi
else
    if wanted bench || wanted profile || wanted ncu; then
        made $(printf '%s/full ' $published)
    fi
    for precision in $precisions; do
        ! wanted bench || for model in $published; do
            bench "$model-full" "$precision" "$out/models/$model-full.safetensors" 1,8 0.7
        done
        ! wanted bench || bench intra-fabric "$precision" kernelad/samples/fabric/intra-fabric.safetensors 1,8,32 0.7
        ! wanted profile || for model in $published; do
            profile "$model-full" "$precision" "$out/models/$model-full.safetensors" 20
        done
    done
fi
wanted products && step "products" false 600 "$checks" products --device "$device" --out "$out/products.jsonl"
if ! wanted peers; then
    :
elif [ $emulated = yes ]; then
    skip "PyTorch and cuBLAS" "nothing to compare with an emulator"
elif ! python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
    skip "PyTorch and cuBLAS" "no python3 with torch and CUDA"
else
    budget=1500
    [ -z "$seconds" ] || budget=$((seconds - SECONDS - 10))
    step "PyTorch and cuBLAS" false 1800 python3 torch_peers.py --device "$device" --about "$out/device.jsonl" --products "$out/products.jsonl" --out "$out/peers.jsonl" --seconds $budget
fi

# (f) The slowest kernels of each model under Nsight Compute: a first pass finds them, a second looks at them.
if ! wanted ncu; then
    :
elif [ $emulated = yes ]; then
    skip "ncu" "the emulator's counters are in the profile"
elif ! command -v ncu > /dev/null; then
    skip "ncu" "not installed"
else
    ncu=(ncu --graph-profiling node --clock-control none)
    for precision in $precisions; do
        for model in $published; do
            run=("$kernelad" profile "$out/models/$model-full.safetensors" --device "$device" --precision "$precision" --runs 1 --json)
            step "ncu times $model $precision" false 900 "${ncu[@]}" --metrics gpu__time_duration.sum --print-units base --csv --page raw --log-file "$out/ncu-times-$model-$precision.csv" "${run[@]}"
        done
    done
    for model in $published; do
        [ -e "$out/ncu-times-$model-fp16.csv" ] || continue
        slowest=$(awk -F'","' '/^"ID"/ { for (i = 1; i <= NF; i++) if ($i ~ /gpu__time_duration.sum/) column = i } /^"[0-9]/ { time = $column; gsub(/[",]/, "", time); sum[$5] += time } END { for (name in sum) print sum[name], name }' "$out/ncu-times-$model-fp16.csv" |
            sort -rn | head -n 5 | sed 's/^[^ ]* //; s/(.*//' | paste -sd'|')
        [ -n "$slowest" ] || { skip "ncu details $model" "no kernel in the first pass"; continue; }
        run=("$kernelad" profile "$out/models/$model-full.safetensors" --device "$device" --precision fp16 --runs 1 --json)
        step "ncu details $model" false 1800 "${ncu[@]}" --set full --kernel-name "regex:^($slowest)\$" --launch-count 12 -o "$out/ncu-$model-fp16" "${run[@]}"
    done
fi

# (g) NVIDIA's own checks of the kernels.
if ! wanted sanitizer; then
    :
elif [ $emulated = yes ]; then
    skip "compute-sanitizer" "the emulator has checks of its own, which were on"
elif ! command -v compute-sanitizer > /dev/null; then
    skip "compute-sanitizer" "not installed"
else
    for tool in memcheck racecheck initcheck synccheck; do
        for family in $("$checks" families); do
            beside step "$tool $family" true 1800 compute-sanitizer --tool $tool --error-exitcode 9 --print-limit 20 \
                "$checks" kernels --device "$device" --out "$out/logs/$tool-$family.jsonl" --family "$family"
        done
    done
    wait
fi

# (h) The report. Its exit code is ours.
rm -rf "$out/models" "$out/parts"
"$checks" report --out "$out"
status=$?
echo "$out/report.md"
exit $status
