#!/usr/bin/env bash
# bench/gpu/pack.sh [--rid linux-x64|linux-arm64] [OUT.tar.xz]: packs what a machine with a GPU needs; see bench/gpu/README.md.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
rid=linux-x64 out=""
while [ $# -gt 0 ]; do
    case $1 in
        --rid) rid=${2:?--rid needs a value}; shift 2 ;;
        -*) echo "usage: bench/gpu/pack.sh [--rid linux-x64|linux-arm64] [OUT.tar.xz]" >&2; exit 2 ;;
        *) out=$1; shift ;;
    esac
done
out=${out:-kernelad-gpu-$rid.tar.xz}
limit=$((60 * 1000 * 1000))

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/kernelad-gpu
publish() {  # publish PROJECT FOLDER
    dotnet publish "$root/$1" -c Release -r "$rid" --self-contained -p:PublishTrimmed=true -p:RunAnalyzers=false -p:DebugType=none -p:PublishDocumentationFiles=false -v quiet -o "$stage/$2"
}
publish src/Cli kernelad
publish bench/gpu/KernelAD.GpuChecks.csproj checks
# Symbols are no use where nobody debugs.
find "$stage" \( -name '*.pdb' -o -name '*.xml' -o -name '*.dbg' \) -delete

cp "$root"/bench/gpu/{run.sh,torch_peers.py,README.md} "$root/LICENSE" "$stage/"
(cd "$root/tests/Fixtures/golden" && find . -name tolerances.json -printf '%h\n') | while read -r folder; do
    mkdir -p "$stage/golden/$folder"
    cp -r "$root/tests/Fixtures/golden/$folder/." "$stage/golden/$folder/"
done
git -C "$root" describe --always --dirty > "$stage/version.txt"

# The trimmed programs have to start at all, where they can.
if [ "$rid" = "linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')" ]; then
    "$stage/kernelad/kernelad" --version > /dev/null
    "$stage/checks/gpu-checks" families > /dev/null
fi

tar -C "$work" -c kernelad-gpu | xz -9 > "$out"
size=$(stat -c %s "$out")
echo "$out: $((size / 1000000)) MB, $(du -sm "$stage" | cut -f1) MiB unpacked"
if [ "$size" -gt "$limit" ]; then
    echo "larger than $((limit / 1000000)) MB" >&2
    exit 1
fi
