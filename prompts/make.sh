#!/usr/bin/env bash
# Speaks and masters what is new or changed among the prompts of one language: prompts/LANG/prompts.tsv -> prompts/LANG/*.wav.
# Several may run at once, also from different copies of the repository, with one WORKDIR. See README.md.
set -euo pipefail
lang=${1:?usage: make.sh LANG [WORKDIR]}
work=$(realpath -m "${2:-${TMPDIR:-/tmp}/afterbeep-prompts}")
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"
exec 9>"$work/setup.lock"
flock 9
[ -f "$work/kokoro.onnx" ] && [ -f "$work/voices.bin" ] || "$here/tools/setup.sh" "$work"
flock -u 9
exec nice -n 10 "$work/venv/bin/python" "$here/tools/make.py" "$work" "$lang" "$here/$lang"
