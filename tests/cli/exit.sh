# os.exit, and what is closed at the end of a program.
. "$(dirname "$0")/support/cases.sh"

same 'statuses' 'for a in "" "true" "false" "0" "1" "3" "255" "256" "-1" "3.0" "nil" "nil, true" "true, true" "false, true" "0, true" "1, true" "5, true" "5, false" "5, nil" "true, 0"; do lua -e "os.exit($a)"; echo "$a $?"; done'
same 'status of a script that returns' 'lua -e "return 5"; echo $?; lua -e "return false"; echo $?'
same 'wrong statuses' 'lua -e "print(pcall(os.exit, {}), pcall(os.exit, 1.5), pcall(os.exit, \"x\"))"; lua -e "os.exit(\"3\")"; echo $?'

kit='
local function closer(name) return setmetatable({}, {__close = function(_, e) print("close", name, e) end}) end
local function finalizer(name) return setmetatable({}, {__gc = function() print("gc", name) end}) end
'
end_of() {
    name=$1
    program=$kit$2
    export program
    same "$name" 'printf "%s\n" "$program" >s.lua; lua s.lua; echo $?'
}

end_of 'without close' 'local a <close> = closer "a"; g = finalizer "g"; os.exit(3)'
end_of 'with close' 'local a <close> = closer "a"; local b <close> = closer "b"; g = finalizer "g"; h = finalizer "h"; os.exit(3, true)'
end_of 'with close, in a function' 'local a <close> = closer "a"; local function f() local b <close> = closer "b"; os.exit(4, true) end; g = finalizer "g"; f(); print "never"'
end_of 'with close, in pcall' 'local a <close> = closer "a"; print(pcall(function() local b <close> = closer "b"; os.exit(5, true) end)); print "never"'
end_of 'with close, in xpcall handler' 'local a <close> = closer "a"; print(xpcall(error, function() local b <close> = closer "b"; os.exit(5, true) end)); print "never"'
# lua5.4 leaves a coroutine's variables open; moonlet unwinds all that the task was doing, innermost first.
own 'with close, in a coroutine' 0 'close b nil close a nil ' "lua -e '$kit local a <close> = closer \"a\"; coroutine.wrap(function() local b <close> = closer \"b\"; os.exit(6, true) end)(); print \"never\"' | tr '\\t\\n' '  '; lua -e 'coroutine.wrap(function() os.exit(6, true) end)()'; echo status \$?"
own 'with close, in a nested coroutine' 0 'close c nil close b nil close a nil ' "lua -e '$kit local a <close> = closer \"a\"; coroutine.wrap(function() local b <close> = closer \"b\"; coroutine.wrap(function() local c <close> = closer \"c\"; os.exit(6, true) end)() end)(); print \"never\"' | tr '\\t\\n' '  '"
end_of 'with close, suspended coroutines' 'local a <close> = closer "a"; co = coroutine.create(function() local b <close> = closer "b"; coroutine.yield() end); coroutine.resume(co); os.exit(6, true)'
end_of 'without close, in a coroutine' 'coroutine.wrap(function() os.exit(6) end)(); print "never"'
end_of 'in a sort comparator' 'local a <close> = closer "a"; table.sort({1, 2, 3}, function() os.exit(7, true) end)'
end_of 'in gsub' 'local a <close> = closer "a"; ("x"):gsub(".", function() os.exit(7, true) end)'
end_of 'in a metamethod' 'local a <close> = closer "a"; local x = setmetatable({}, {__index = function() os.exit(8, true) end}).y'
end_of 'in require' 'package.preload.m = function() local c <close> = closer "c"; os.exit(9, true) end; local a <close> = closer "a"; require "m"'
end_of 'in a __close' 'local a <close> = closer "a"; do local b <close> = setmetatable({}, {__close = function() os.exit(9, true) end}) end'
end_of 'in a __close of an exit' 'local a <close> = closer "a"; local b <close> = setmetatable({}, {__close = function() os.exit(9, true) end}); os.exit(1, true)'
end_of 'in a hook' 'local a <close> = closer "a"; debug.sethook(function() debug.sethook(); os.exit(9, true) end, "l")
print "never"'
end_of 'in a finalizer, without close' 'setmetatable({}, {__gc = function() print "gc"; os.exit(2) end}); collectgarbage(); print "never"'
end_of 'in a finalizer at the end' 'x = setmetatable({}, {__gc = function() print "gc"; os.exit(2) end}); y = finalizer "y"'
end_of 'in a finalizer at the end, with close' 'x = finalizer "x"; y = setmetatable({}, {__gc = function() print "gc"; os.exit(2, true) end}); z = finalizer "z"'
end_of 'errors in __close during an exit' 'local a <close> = closer "a"; local b <close> = setmetatable({}, {__close = function() error "b" end}); g = finalizer "g"; os.exit(3, true)'
end_of 'order of finalizers' 'for i = 1, 5 do _G["v" .. i] = finalizer(i) end; print "end"'
end_of 'finalizers that make new objects' 'print("creating 1"); setmetatable({}, {__gc = function() print(1) end}); print("creating 2")
setmetatable({}, {__gc = function() print("2"); setmetatable({}, {__gc = function() print(3) end}); print(collectgarbage()); os.exit(0, true) end})'
end_of 'finalizers that fail' 'warn "@on"; u1 = setmetatable({}, {__gc = function() error("XYZ") end}); u2 = setmetatable({}, {__gc = function() error("ZYX") end})'
end_of 'finalizers that fail with a table' 'warn "@on"; u1 = setmetatable({}, {__gc = function() error({}) end})'
end_of 'a finalizer that uses the library' 'x = setmetatable({}, {__gc = function() print(("x"):rep(3), #arg, pcall(error, 1), coroutine.wrap(function() coroutine.yield(5) end)()) end})'
end_of 'a finalizer asks who runs' 'x = setmetatable({}, {__gc = function() local t, m = coroutine.running(); print(type(t), m, coroutine.isyieldable()); print(debug.traceback()) end})'
end_of 'a finalizer yields' 'x = setmetatable({}, {__gc = function() print(pcall(coroutine.yield, 1)) end})'
end_of 'a resurrected object' 'x = setmetatable({}, {__gc = function(o) keep = o; print "gc" end}); x = nil; collectgarbage(); print(keep ~= nil)'
end_of 'variables of a coroutine that is left' 'co = coroutine.wrap(function() local c <close> = closer "c"; coroutine.yield() end); co()'
end_of 'an open file' 'io.output("f"); io.write("alo"); h = io.open("g", "w"); h:write("text")'
same 'files are flushed' 'lua -e "io.output(\"f\"); io.write(\"alo\")"; cat f; lua -e "io.output(\"f\"); io.write(\"alo\"); os.exit(0)"; cat f; lua -e "io.output(\"f\"); io.write(\"two\"); os.exit(0, true)"; cat f'
same 'a popen left open' 'lua -e "p = io.popen(\"cat >f\", \"w\"); p:write(\"alo\")"; until [ -s f ]; do sleep 0.01; done; cat f'
same 'variables of the main chunk at an error' 'printf "%s\n" "local a <close> = setmetatable({}, {__close = function(_, e) print(e) end}); error(\"x\", 0)" >s.lua; lua s.lua; echo $?'
same 'output is flushed by os.exit' 'lua -e "io.write(\"a\"); os.exit(0)"; lua -e "io.write(\"b\"); os.exit(0, true)"; lua -e "io.stdout:setvbuf(\"full\"); io.write(\"c\"); os.exit(1)"; echo $?'

finish
