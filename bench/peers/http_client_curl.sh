#!/bin/sh
# curl as one process that keeps its connections. Prints one line of JSON, as the other clients.
# Usage: http_client_curl.sh URL COUNT TASKS
set -eu
curl -s -o /dev/null --parallel --parallel-max "$3" "$1[1-$2]"
figures=$(mktemp)
times >"$figures" # not in a pipe: there it would be the times of another shell
tail -1 "$figures" | tr 'ms' '  ' | awk -v count="$2" '{
    printf "{\"cpu_us_per_request\": %.2f}\n", ($1 * 60 + $2 + $3 * 60 + $4) / count * 1e6
}'
rm -f "$figures"
