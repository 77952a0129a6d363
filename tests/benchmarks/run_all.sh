#!/bin/sh
# Take all figures of docs/figures.md in one sitting, on a machine with no other work. This takes
# about half an hour. Run it from the root of the repository: sh tests/benchmarks/run_all.sh > FILE
export PYTHONPATH=tests:tests/benchmarks
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

run() {
    echo "== $*"
    python "tests/benchmarks/bench_$@" 2>&1
}

# Print the CPU seconds and the memory of a whole command, three times.
command_line() {
    echo "== lyncnb $*"
    for _ in 1 2 3; do
        /usr/bin/time -f "%U + %S s of CPU, %M KiB" lyncnb "$@" 2>&1 >/dev/null | tail -1
    done
}

git log -1 --format="%h %cs"
run planning.py whole --rows 100000 --rounds 5
run planning.py edit --rows 10000
run planning.py page --rows 10000 --rounds 3
run panels.py kernel --rows 10000
run panels.py screen --rows 10000 --rounds 3
run panels.py screen --rows 100000 --rounds 3
run export.py rsa --count 200 --rounds 5
run export.py ecdsa --count 10000 --rounds 2
run export.py cell --count 300
run folder.py rerun --count 10000 --rounds 2
run folder.py summary --count 10000 --rounds 1
run receiving.py 1000
run packages.py 1000
run figures.py --servers 1000 --rounds 7
run compare.py --servers 10000 --rounds 3
run saved_plan.py --servers 10000
run saved_plan.py --servers 100000
run scenarios.py --servers 10000 --rounds 3
run forecast.py --certificates 1000
python - "$folder/big.csv" <<EOF
import sys
from pathlib import Path
from bench_planning import write_table
write_table(Path(sys.argv[1]), 100_000)
EOF
command_line plan "$folder/big.csv" -o "$folder/plan.csv"
command_line plan "$folder/big.csv" -o "$folder/plan.xlsx"
command_line plan "$folder/big.csv" --json
command_line check "$folder/big.csv" --json
command_line --help
