#!/usr/bin/env bash
# Tables 1 and 2 of Papamakarios et al. 2017 and the table of Durkan et al. 2019, on a machine with
# a GPU and a network:
#     scripts/gpu_tables.sh [--dry] [FOLDER] [OVERRIDE …]
# The data are downloaded, and the rows trained, the cheapest first. The same command goes on where
# it was stopped; finished runs are skipped. After each row FOLDER/report.md has all that there is,
# and at the end FOLDER/kept has the runs without their weights. --dry lists the rows and their
# expected cost, from a speed that is measured at the start. Overrides are added to every run.
set -uo pipefail
cd "$(dirname "$0")/.."

dry=
if [ "${1:-}" = --dry ]; then dry=1; shift; fi
out=${1:-outputs/tables}
shift $(($# > 0))
python=${PYTHON:-python}

commands=$("$python" scripts/gpu_tables.py "$out") || exit 1
[ -z "$dry" ] || exit 0
"$python" scripts/download.py gas hepmass miniboone power bsds300 mnist cifar10 || exit 1

failed=0
while read -r -a words; do
    code=0
    "$python" train.py "${words[@]}" "$@" < /dev/null || code=$?
    case $code in
        0) ;;
        75 | 130 | 143) exit $code ;; # interrupted: the same command goes on
        *) failed=1 ;;
    esac
    "$python" scripts/report.py "$out" --out "$out" --format md < /dev/null
done <<< "$commands"
"$python" scripts/keep_results.py "$out" "$out/kept"
exit $failed
