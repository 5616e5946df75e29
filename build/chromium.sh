#!/usr/bin/env bash
# Prints a folder that holds chromium and chromedriver of one version, for the browser tests. They are never shipped.
# Where both are on the PATH it prints their folder. Elsewhere, on Debian and as root, it installs the packages chromium and chromium-driver.
set -euo pipefail
if ! command -v chromium > /dev/null || ! command -v chromedriver > /dev/null; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
        echo "chromium and chromedriver are not on the PATH: install them (Debian: apt-get install chromium chromium-driver)" >&2
        exit 1
    fi

    apt-get -qq update >&2
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium chromium-driver >&2
fi

dirname "$(command -v chromedriver)"
