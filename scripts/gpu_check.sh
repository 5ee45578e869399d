#!/usr/bin/env bash
# All that needs a GPU, in at most nine minutes, on a machine without network:
#     scripts/gpu_check.sh [--dry] [FOLDER]
# It leaves gpu_check.json and gpu_check.md in the folder, written anew after every step, so that
# one that is cut off keeps what it has. --dry runs every step in small on the CPU. A step that
# fails or takes too long is told on the page, and the others go on.
set -uo pipefail
cd "$(dirname "$0")/.."

device=cuda batches=100,1024 rows=8192 runs=1,4,16,64 repeats=5 works=W1,W4,W5 patience=1
if [ "${1:-}" = --dry ]; then
    shift
    device=cpu batches=20 rows=100 runs=1,2 repeats=2 works=W1 patience=10
fi
out=${1:-gpu_check}
python=$(command -v "${PYTHON:-python}") || { echo "there is no ${PYTHON:-python}" >&2; exit 2; }
python=$(realpath -s "$python")
if [ $device = cuda ] && ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'
then
    echo "PyTorch finds no GPU here; scripts/gpu_check.sh --dry does without" >&2
    exit 2
fi
peers=$("$python" -c 'import zuko' 2>/dev/null && echo zuko)
mkdir -p "$out/rows"
out=$(cd "$out" && pwd)
rm -f "$out"/*.json "$out"/rows/*.json "$out"/*.log "$out"/*.md
touch "$out/steps.md" "$out/tests.log"
failed=0

page() {
    write > "$out/page.part" && mv "$out/page.part" "$out/gpu_check.md"
}
write() {
    printf '# Checks on a GPU\n\nMade by `scripts/gpu_check.sh`%s.\n\n' \
        "$([ $device = cuda ] || echo ' --dry: the processor, in small')"
    printf '| step | | seconds |\n|---|---|--:|\n'
    cat "$out/steps.md"
    printf '\n'
    local found=("$out"/rows/*.json)
    [ ! -e "${found[0]}" ] ||
        "$python" scripts/benchmark_page.py "${found[@]}" --json "$out/gpu_check.json"
    printf '\n## Tests\n\n```\n'
    tail -n 25 "$out/tests.log"
    printf '```\n'
}
# step SECONDS NAME COMMAND …
step() {
    local limit=$1 name=$2 start=$SECONDS rc=0
    shift 2
    echo "== $name"
    timeout -k 2 $((limit * patience)) "$@" > >(tee "$out/$name.log") 2>&1 || rc=$?
    [ $rc = 0 ] || failed=1
    echo "| $name | $([ $rc = 0 ] && echo passed || echo "failed ($rc)") | $((SECONDS - start)) |" \
        >> "$out/steps.md"
    page
}
trap 'page; exit 143' TERM INT HUP
benchmark() {
    local limit=$1 name=$2
    shift 2
    step "$limit" "$name" "$python" scripts/benchmark.py "$@" --device $device \
        --repeats $repeats --json "$out/rows/$name.json"
}

step 190 tests "$python" -m pytest -m gpu -rs tests/data tests/training tests/test_trained_density.py
benchmark 80 train_compiled train --work $works --batch $batches --engine compiled --peers "$peers"
benchmark 30 train_plain train --work $works --batch $batches --engine plain --peers "$peers"
benchmark 30 log_prob log_prob --work W1,W4 --rows $rows --peers "$peers"
benchmark 30 sample sample --work W1,W4 --rows $rows --peers "$peers"
benchmark 110 packed packed_steps --runs $runs --batch ${batches%%,*}
benchmark 50 pixels pixels --batch $batches

echo "$out/gpu_check.md and gpu_check.json"
exit $failed
