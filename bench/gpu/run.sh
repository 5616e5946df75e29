#!/usr/bin/env bash
# run.sh [--device cuda[:N]|emulated[:sm_XX]] [--out FOLDER] [--full]: everything there is to know about KernelAD on this machine's GPU; see README.md.
# Needs a driver and nothing else. Exit code 0: correctness held; 1: it did not; 2: wrong usage.
set -uo pipefail
cd "$(dirname "$0")"
device=cuda:0 out="" full=no
usage() { echo "usage: run.sh [--device cuda[:N]|emulated[:sm_XX]] [--out FOLDER] [--full]" >&2; exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
        --device) device=${2:-}; shift 2 || usage ;;
        --out) out=${2:-}; shift 2 || usage ;;
        --full) full=yes; shift ;;
        *) usage ;;
    esac
done
case $device in
    cuda | cuda:*) emulated=no full=yes ;;
    emulated | emulated:*) emulated=yes ;;
    *) usage ;;
esac
out=${out:-results-${device/:/-}-$(date +%Y%m%d-%H%M%S)}
# A folder is one run on one device: results of two must never meet.
mkdir -p "$(dirname "$out")" && mkdir "$out" || { echo "$out: give a folder that is not there yet" >&2; exit 2; }
out=$(cd "$out" && pwd)
mkdir "$out/logs" "$out/models"
kernelad=$PWD/kernelad/kernelad checks=$PWD/checks/gpu-checks
export PATH="$PATH:/usr/local/cuda/bin" DOTNET_gcServer=0

note() {  # note NAME OUTCOME SECONDS DECIDES NOTE
    printf '{"step":"%s","outcome":"%s","seconds":%d,"decides":%s,"note":"%s"}\n' "$1" "$2" "$3" "$4" "$(printf %s "$5" | tr -d '"\\\n\t')" >> "$out/steps.jsonl"
    printf '%-38s %-9s %4d s  %s\n' "$1" "$2" "$3" "$5"
}
skip() { note "$1" skipped 0 false "$2"; }
step() {  # step NAME DECIDES LIMIT COMMAND…: what it prints goes to logs/NAME.log; whether it decides over the exit code: true or false
    local name=$1 decides=$2 limit=$3 log="$out/logs/${1// /-}.log" start=$SECONDS status
    shift 3
    timeout --kill-after=15 "$limit" "$@" > "$log" 2>&1
    status=$?
    case $status in
        0) note "$name" passed $((SECONDS - start)) "$decides" "" ;;
        124 | 137) note "$name" "timed out" $((SECONDS - start)) "$decides" "limit $limit s" ;;
        *) note "$name" failed $((SECONDS - start)) "$decides" "exit code $status: $(grep -v '^ *$' "$log" | tail -n 1 | cut -c1-300)" ;;
    esac
    return $status
}
json() {  # json FILE MEMBERS COMMAND…: adds the JSON lines that the command prints to a file, with more members in front
    local file=$1 members=$2 status
    shift 2
    "$@" > "$out/logs/line.json"
    status=$?
    cat "$out/logs/line.json"
    sed "s|^{|{$members|" "$out/logs/line.json" >> "$out/$file"
    return $status
}
export -f json
export out

step "device" true 120 "$checks" device --device "$device" --out "$out/device.jsonl" || { cat "$out/logs/device.log" >&2; exit 1; }
head -n 1 "$out/logs/device.log"
architecture=$(sed -n 's/.*"architecture":"sm_\([0-9]*\)".*/\1/p' "$out/device.jsonl")
precisions="fp32 fp16"
[ "$architecture" -lt 80 ] || precisions="fp32 tf32 fp16"
if [ $emulated = no ] && command -v nvidia-smi > /dev/null; then
    nvidia-smi --query-gpu=name,driver_version,pstate,clocks.max.sm,power.limit,memory.total,pci.bus_id --format=csv > "$out/nvidia-smi.txt" 2>&1
fi

# (a) What is here.
step "doctor" true 120 "$kernelad" doctor
# (b) How the instructions behave, before anything is built on them.
step "instructions" true 300 "$checks" instructions --device "$device" --out "$out/instructions.jsonl" --raw "$out/instructions"
# (c) Every kernel.
for family in $("$checks" families); do
    step "kernels $family" true 900 "$checks" kernels --device "$device" --out "$out/kernels.jsonl" --family "$family"
done

# (d) Golden cases. On the emulator the published sizes take minutes each: one of them in fp32 only, unless --full.
for folder in golden/*/*/; do
    folder=${folder%/} name=$(echo "$folder" | sed 's|golden/||; s|/|-|')
    if [ $full = no ] && [[ $name = *-full ]] && [ "$name" != vitad-full ]; then
        skip "verify $name" "too slow on the emulator; --full runs it"
        continue
    fi
    step "model $name" true 600 "$checks" models --golden "$folder" --out "$out/models"
    for precision in $precisions; do
        if [ $full = no ] && [ "$name" = vitad-full ] && [ "$precision" != fp32 ]; then
            skip "verify $name $precision" "too slow on the emulator; --full runs it"
            continue
        fi
        step "verify $name $precision" true 1800 bash -c 'json "$@"' _ golden.jsonl '' \
            "$kernelad" verify "$out/models/$name.safetensors" --golden "$folder" --device "$device" --precision "$precision" --json
    done
done

# (e) NVIDIA's own checks of the kernels.
if [ $emulated = yes ]; then
    skip "compute-sanitizer" "the emulator has checks of its own, which were on"
elif ! command -v compute-sanitizer > /dev/null; then
    skip "compute-sanitizer" "not installed"
else
    for tool in memcheck racecheck initcheck synccheck; do
        for family in $("$checks" families); do
            step "$tool $family" true 1800 compute-sanitizer --tool $tool --error-exitcode 9 --print-limit 20 \
                "$checks" kernels --device "$device" --out "$out/logs/$tool.jsonl" --family "$family"
        done
    done
fi

# (f) Times.
bench() { step "bench $1 $2" false 600 bash -c 'json "$@"' _ bench.jsonl "\"file\":\"$1\"," "$kernelad" bench "$3" --device "$device" --precision "$2" --batch "$4" --threads 1 --duration "$5" --json; }
profile() { step "profile $1 $2" false 600 bash -c 'json "$@"' _ "profile-$1-$2.jsonl" '' "$kernelad" profile "$3" --device "$device" --precision "$2" --runs "$4" --json; }
sample=kernelad/samples/fabric/intra-fabric.safetensors
if [ $emulated = yes ]; then
    bench vitad-tiny fp32 "$out/models/vitad-tiny.safetensors" 1 0.5
    profile vitad-tiny fp32 "$out/models/vitad-tiny.safetensors" 1
else
    for precision in $precisions; do
        bench intra-fabric "$precision" $sample 1,8,32 3
        bench vitad-full "$precision" "$out/models/vitad-full.safetensors" 1,8,32 3
        bench intra-full "$precision" "$out/models/intra-full.safetensors" 1,8 3
        profile vitad-full "$precision" "$out/models/vitad-full.safetensors" 20
        profile intra-full "$precision" "$out/models/intra-full.safetensors" 20
    done
fi
step "products" false 600 "$checks" products --device "$device" --out "$out/products.jsonl"
if [ $emulated = yes ]; then
    skip "PyTorch and cuBLAS" "nothing to compare with an emulator"
elif ! python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
    skip "PyTorch and cuBLAS" "no python3 with torch and CUDA"
else
    step "PyTorch and cuBLAS" false 1800 python3 torch_peers.py --device "$device" --about "$out/device.jsonl" --products "$out/products.jsonl" --out "$out/peers.jsonl"
fi

# (g) The slowest kernels of ViTAD under Nsight Compute: a first pass finds them, a second looks at them.
if [ $emulated = yes ]; then
    skip "ncu" "the emulator's counters are in the profile"
elif ! command -v ncu > /dev/null; then
    skip "ncu" "not installed"
else
    for precision in $precisions; do
        run=("$kernelad" profile "$out/models/vitad-full.safetensors" --device "$device" --precision "$precision" --runs 1 --json)
        step "ncu times $precision" false 900 ncu --graph-profiling node --metrics gpu__time_duration.sum --csv --page raw --log-file "$out/ncu-times-$precision.csv" "${run[@]}" || continue
        slowest=$(awk -F'","' '/^"[0-9]/ { time = $NF; gsub(/[",]/, "", time); sum[$5] += time } END { for (name in sum) print sum[name], name }' "$out/ncu-times-$precision.csv" |
            sort -rn | head -n 5 | sed 's/^[^ ]* //; s/(.*//' | paste -sd'|')
        [ -n "$slowest" ] || { skip "ncu details $precision" "no kernel in the first pass"; continue; }
        step "ncu details $precision" false 1800 ncu --graph-profiling node --set full --kernel-name "regex:^($slowest)\$" --launch-count 25 -o "$out/ncu-$precision" "${run[@]}"
    done
fi

# (h) The report. Its exit code is ours.
rm -rf "$out/models" "$out/logs/line.json"
"$checks" report --out "$out"
status=$?
echo "$out/report.md"
exit $status
