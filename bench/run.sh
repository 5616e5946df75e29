#!/usr/bin/env bash
# bench/run.sh metrics
# bench/run.sh cpu [--models vitad,intra,uniad,adtr,vtadl,utrad] [--threads 1,2] [--rounds N] [--no-gemm]: builds the benchmark and runs it; see bench/README.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
if [ "${1:-}" != cpu ] && [ "${1:-}" != metrics ]; then
    echo "usage: bench/run.sh cpu [--models vitad,intra,uniad,adtr,vtadl,utrad] [--threads 1,2] [--rounds N] [--no-gemm] | metrics" >&2
    exit 2
fi
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
dotnet build "$root/bench/KernelAD.Bench.csproj" -c Release -v quiet
exec "$root/artifacts/bin/KernelAD.Bench/release/KernelAD.Bench" "$@" --results "$root/bench/results"
