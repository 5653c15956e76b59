#!/bin/sh
# Makes target/python, a virtual environment with the servers from PyPI that the tests talk to. Does nothing when it is there.
set -eu
cd "$(dirname "$0")/../.."
venv=target/python
wanted=tests/tools/requirements.txt
if [ -f "$venv/installed.txt" ] && cmp -s "$wanted" "$venv/installed.txt"; then
    exit 0
fi
python3 -m venv "$venv"
"$venv/bin/pip" --quiet --disable-pip-version-check install --requirement "$wanted"
cp "$wanted" "$venv/installed.txt"
