# Ctrl-C. The program under test prints "ready" where the signal is to meet it. It has to have left `print` again
# (the interrupting hook runs at a return, too) and to have reached what follows: a wait, or a computation.
. "$(dirname "$0")/support/cases.sh"

# A shell has what it starts in the background ignore SIGINT; env takes that back.
#
# settle PID: until it sleeps, or has computed for 50 ms (5 ticks).
# interrupt TEXT [PAUSE]: runs the text in the background and sends one signal for each line it
# prints that is "ready", PAUSE seconds after the line, or when it has settled.
interrupt='settle() {
    first=
    while read -r _ _ state _ _ _ _ _ _ _ _ _ _ user system _ <"/proc/$1/stat"; do
        first=${first:-$((user + system))}
        [ "$state" != S ] && [ $((user + system - first)) -lt 5 ] || return 0
        sleep 0.01
    done 2>/dev/null
}
interrupt() {
    mkfifo out
    env --default-signal=INT lua -e "io.stdout:setvbuf [[line]] $1" >out 2>errors &
    pid=$!
    while IFS= read -r line; do
        echo "$line"
        [ "$line" = ready ] || continue
        if [ -n "$2" ]; then sleep "$2"; else settle $pid; fi
        kill -INT $pid
    done <out
    wait $pid 2>/dev/null
    echo "status $?"
    cat errors
    rm out
}
'

same 'pcall catches it' "$interrupt interrupt 'print(pcall(function() print \"ready\" while true do end end)) print(42)'"
# The hook of the interrupt and one of the script's own are on the same thread.
for hook in '\"\", 1' '\"\", 100000' '\"l\"' '\"crl\", 3'; do
    same "pcall catches it, with a hook of the script's own ($hook)" "$interrupt interrupt 'debug.sethook(function() end, $hook) print(pcall(function() print \"ready\" while true do end end)) print(debug.gethook() ~= nil) debug.sethook() print(debug.gethook())'"
done
same 'nobody catches it' "$interrupt interrupt 'print \"ready\" while true do end'"
same 'nobody catches it, in functions' "$interrupt interrupt 'local function f() print \"ready\" while true do end end local function g() f() end g()'"
same 'a second one kills' "$interrupt interrupt 'print \"ready\" print \"ready\" string.find(string.rep(\"a\", 300000), \".*b\")' | grep -v '^lua:'"
same 'a second one kills, after the first was caught' "$interrupt interrupt 'pcall(function() print \"ready\" while true do end end) print \"ready\" while true do end'"
same 'finalizers run after one' "$interrupt interrupt 'x = setmetatable({}, {__gc = function() print \"gc\" end}) print \"ready\" while true do end'"
same 'variables are closed after one' "$interrupt interrupt 'local x <close> = setmetatable({}, {__close = function(_, e) print(e) end}) print \"ready\" while true do end'"
# The text of the error begins with a position if it came while the inner function ran, not if it
# came around it.
same 'it ends a coroutine.wrap' "$interrupt interrupt 'local _, e = pcall(function() print \"ready\" while true do coroutine.wrap(function() local x = 1 end)() end end) print(e:match \"interrupted!\$\")'"
# Whatever moment it meets: a switch between the two threads, the end of one, the start of the next.
own 'it ends generators at any moment' 0 'all' "$interrupt for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    interrupt 'local function f() local x = 1 coroutine.yield() end local _, e = pcall(function() print \"ready\" while true do local g = coroutine.wrap(f) g() g() end end) print(e:match \"interrupted!\$\")' 0.0\$i
done | grep -c interrupted | sed 's/12/all/'"
same 'while a child runs' "$interrupt interrupt 'print(os.execute(\"echo ready; sleep 1\")) print(6)'"
own 'while one of several computes: only where it waits' 0 'computed' "$interrupt interrupt 'local task = require \"moonlet.task\" task.spawn(task.sleep, 30) local x <close> = setmetatable({}, {__close = function() print \"closed\" end}) print \"ready\" local t = task.now() while task.now() < t + 0.4 do end print \"computed\" task.sleep(30) print \"never\"'"
own 'while one of several computes without an end' 0 'closed' "$interrupt interrupt 'local task = require \"moonlet.task\" task.spawn(task.sleep, 30) local x <close> = setmetatable({}, {__close = function() print \"closed\" end}) print \"ready\" while true do end'"
own 'while all tasks wait' 0 'status 130' "$interrupt interrupt 'print \"ready\" require(\"moonlet.task\").sleep(30)'"
own 'while all tasks wait, variables are closed' 0 'closed' "$interrupt interrupt 'local x <close> = setmetatable({}, {__close = function() print \"closed\" end}) print \"ready\" require(\"moonlet.task\").sleep(30)'"

# Of a program that does other things, too, os.execute took Ctrl-C away.
own 'while a child runs, and other tasks' 0 'status 130' "$interrupt interrupt 'local task = require \"moonlet.task\" task.spawn(task.sleep, 30) print(os.execute \"echo ready; exec sleep 30\")'"
own 'SIGTERM while a child runs alone' 143 'closed' 'lua -e "local x <close> = setmetatable({}, {__close = function() print [[closed]] end}) os.execute [[kill -TERM \$PPID; exec sleep 30]]"'
same 'SIGINT and SIGQUIT while a child runs alone' 'lua -e "print(os.execute [[kill -INT \$PPID; kill -QUIT \$PPID; kill -INT \$PPID]]) print(7)"; echo $?'
own 'SIGHUP cleans up' 129 'closed' 'lua -e "local x <close> = setmetatable({}, {__close = function() print [[closed]] end}) io.popen [[kill -HUP \$PPID]]:close() require [[moonlet.task]].sleep(30)"'
for signal in INT HUP TERM QUIT; do
    own "an ignored SIG$signal stays ignored" 0 'goes on' "env --ignore-signal=$signal lua -e 'for _ = 1, 3 do io.popen [[kill -$signal \$PPID]]:close() end require [[moonlet.task]].sleep(0.01) print [[goes on]]'"
done
own 'what runs in the background of a shell ignores SIGINT' 0 'goes on' 'lua -e "io.popen [[kill -INT \$PPID]]:close() require [[moonlet.task]].sleep(0.01) print [[goes on]]" & wait $!'

finish
