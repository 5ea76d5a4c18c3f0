#!/bin/sh
# A native recursion that fills its C stack names the task and aborts; Lua's own limit comes first on
# a stack of the usual size. Needs MOONLET, the program to test.
: "${MOONLET:?the program to test}"

failed=0
check() { # title, what the output has to contain, the output
    case $3 in
    *"$2"*) ;;
    *)
        printf 'overflow.sh: %s\n    expected: %s\n    got: %s\n' "$1" "$2" "$3"
        failed=1
        ;;
    esac
}

script='local task = require "moonlet.task"
local function go(s) return (s:gsub(".", go)) end
local t = task.spawn({ name = "runaway" }, function() return go("x") end)
print(t:join())
print "the rest lives on"'

out=$("$MOONLET" -e "$script" 2>&1)
check 'on a stack of 8 MiB it is the Lua error' 'C stack overflow' "$out"
check 'on a stack of 8 MiB the rest lives on' 'the rest lives on' "$out"

# AddressSanitizer has a handler, and a report, of its own.
if ! grep -q __asan_init "$MOONLET"; then
    out=$("$MOONLET" --stack-size 64K -e "$script" 2>&1; echo "status $?")
    check 'on a small stack the task is named' "C stack overflow in task 'runaway' (#2)" "$out"
    check 'on a small stack the remedy is named' '--stack-size' "$out"
    check 'on a small stack the Lua frames are told' '(command line):2' "$out"
    check 'on a small stack the program aborts' 'status 134' "$out"
fi
exit $failed
