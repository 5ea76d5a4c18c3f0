# The programs in tests/conformance print the same under moonlet and lua5.4.
. "$(dirname "$0")/support/cases.sh"

programs=$(cd "$here/../conformance" && pwd)
export programs
for program in "$programs"/*.lua; do
    name=$(basename "$program" .lua)
    same "$name" "cp \"\$programs/$name.lua\" . && lua $name.lua"
done

finish
