#!/usr/bin/env bash
# Prints a folder that holds NVIDIA's ptxas and nvdisasm, for the assembler tests. They need neither a GPU nor a driver and are never shipped.
#   build/cuda-assembler.sh [FOLDER]     default: ~/.cache/kernelad/cuda-assembler
# Where both are on the PATH, as on a machine with a CUDA toolkit, it prints their folder and downloads nothing. Elsewhere it takes them from Debian's
# package nvidia-cuda-toolkit (section non-free; unpacked into FOLDER, not installed): CUDA 11.8, targets up to sm_90.
set -euo pipefail
if ptxas=$(command -v ptxas) && command -v nvdisasm > /dev/null; then
    dirname "$ptxas"
    exit
fi

folder=${1:-$HOME/.cache/kernelad/cuda-assembler}
if [ ! -x "$folder/ptxas" ] || [ ! -x "$folder/nvdisasm" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/lists/partial" "$work/unpacked" "$folder"
    sed 's/^Components: main$/Components: main contrib non-free/' /etc/apt/sources.list.d/debian.sources > "$work/non-free.sources"
    apt=(-qq -o "Dir::Etc::sourcelist=$work/non-free.sources" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists" -o APT::Sandbox::User=root)
    apt-get "${apt[@]}" update >&2
    (cd "$work" && apt-get "${apt[@]}" download nvidia-cuda-toolkit >&2 && dpkg-deb -x nvidia-cuda-toolkit_*.deb unpacked)
    cp "$work"/unpacked/usr/bin/{ptxas,nvdisasm} "$folder/"
fi
echo "$folder"
