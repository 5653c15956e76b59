#!/usr/bin/env bash
# Speaks and masters the prompts of one language: prompts/LANG/prompts.tsv -> prompts/LANG/*.wav. See README.md.
set -euo pipefail
lang=${1:?usage: make.sh LANG [WORKDIR]}
work=$(realpath -m "${2:-${TMPDIR:-/tmp}/afterbeep-prompts}")
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"
[ -f "$work/kokoro.onnx" ] && [ -f "$work/voices.bin" ] || "$here/tools/setup.sh" "$work"
nice -n 10 "$work/venv/bin/python" "$here/tools/synthesize.py" "$work" "$lang" "$here/$lang/prompts.tsv" "$work/raw-$lang"
"$work/venv/bin/python" "$here/tools/master.py" "$work/raw-$lang" "$here/$lang"
"$work/venv/bin/python" "$here/tools/loudness.py" "$here/$lang"
