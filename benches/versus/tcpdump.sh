#!/usr/bin/env bash
# Replay against `tcpdump -r FILE -w /dev/null`: CPU seconds over one large capture, side by side.
#
#   benches/versus/tcpdump.sh [CAPTURE...]
#
# The captures (those of pcaps/ and, where it lies beside the checkout, shared/data) are played
# ROUNDS times between other hosts, and everything is measured RUNS times in turn. Peak memory is
# read at that length and at a quarter of it. Runs on Debian with tcpdump; skips aloud without.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-80} runs=${RUNS:-5}
firewall=benches/versus/replay.toml

if ! command -v tcpdump >/dev/null; then
    echo "SKIPPED: tcpdump is not installed (apt-get install tcpdump)"
    exit 0
fi
cargo build --release --quiet -p parefeu-cli
cargo build --release --quiet -p parefeu-replay --example repeat
parefeu=target/release/parefeu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if [ $# -eq 0 ]; then
    mapfile -t captures < <(
        for data in pcaps ../shared/data/{ndpi,zeek,suricata-verify}; do
            [ ! -d "$data" ] || find "$data" -type f \( -name '*.pcap*' -o -name '*.cap' \)
        done | sort
    )
    set -- "${captures[@]}"
fi
target/release/examples/repeat "$folder/short.pcap" $((rounds / 4)) "$@" 2>/dev/null
target/release/examples/repeat "$folder/long.pcap" "$rounds" "$@" 2>&1 | tail -n 1

# CPU seconds of a command, in user and kernel mode together.
cpu() {
    local TIMEFORMAT='%U %S'
    { time "$@" >/dev/null 2>&1; } 2>&1 | awk '{ print $1 + $2 }'
}
diff_of_two() { "$parefeu" diff "$firewall" "$firewall" -r "$1" "${@:2}" || [ $? -eq 3 ]; }

# What is measured, in this order; ratios are to the first.
measure() {
    cpu tcpdump -r "$folder/long.pcap" -w /dev/null
    cpu "$parefeu" replay "$firewall" -r "$folder/long.pcap" --no-identification
    cpu "$parefeu" replay "$firewall" -r "$folder/long.pcap"
    cpu diff_of_two "$folder/long.pcap" --no-identification
    cpu diff_of_two "$folder/long.pcap"
}
frames=$("$parefeu" replay "$firewall" -r "$folder/long.pcap" --no-identification \
    --format ndjson | tail -n 1 | grep -o '"frames":[0-9]*' | head -n 1 | cut -d: -f2)
for ((run = 1; run <= runs; run++)); do
    measure | paste -sd' '
done | tee "$folder/times" | sed 's/^/CPU seconds: /'

awk -v frames="$frames" '
    { for (i = 1; i <= NF; i++) { time[i, NR] = $i; ratio[i, NR] = $i / $1 } }
    function sorted(of, i,   a, b, swap) {
        for (a = 1; a <= NR; a++) row[a] = of[i, a]
        for (a = 1; a <= NR; a++) for (b = a + 1; b <= NR; b++)
            if (row[b] < row[a]) { swap = row[a]; row[a] = row[b]; row[b] = swap }
        return row[int((NR + 1) / 2)]
    }
    END {
        split("tcpdump;replay, headers;replay, identified;lockstep, headers;lockstep, identified",
            name, ";")
        for (i = 1; i <= NF; i++) {
            seconds = sorted(time, i)
            middle = sorted(ratio, i)
            printf "%-22s %5.2f M frames/s, %.2f times tcpdump (%.2f to %.2f)\n",
                name[i], frames / seconds / 1e6, middle, row[1], row[NR]
        }
    }' "$folder/times"

for length in short long; do
    "$parefeu" replay "$firewall" -r "$folder/$length.pcap" --format ndjson | tail -n 1 |
        grep -o '"frames":[0-9]*\|"peak_memory":[0-9]*' | head -n 2 | paste -sd' ' |
        sed "s/^/$length capture: /"
done
