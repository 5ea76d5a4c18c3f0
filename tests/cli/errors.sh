# Errors that nobody catches: text, traceback, exit status.
. "$(dirname "$0")/support/cases.sh"

# script TEXT...: runs the lines as s.lua.
run='printf "%s\n" "$program" >s.lua; lua s.lua; echo $?'
script() {
    name=$1
    program=$2
    export program
    same "$name" "$run"
    same "$name, from standard input" 'printf "%s\n" "$program" | lua -; echo $?'
    same "$name, from -e" 'lua -e "$program"; echo $?'
}

script 'error with a string' 'error("boom")'
script 'error at level 0' 'error("boom", 0)'
script 'error at level 2' 'local function f() error("boom", 2) end
f()'
script 'error in a chain of calls' 'local function a(x) local y = x.z.w; return y end
function b(x) a(x) end
local t = {c = function() b({}) end}
function t:m() self.c() end
t:m()'
script 'error in a tail call' 'local function f(n) if n == 0 then error("deep") end return f(n - 1) end
return f(3)'
script 'a long traceback' 'local function f(n) if n == 0 then error("deep") end f(n - 1) return 1 end
f(60)'
script 'stack overflow' 'local function f() return 1 + f() end
f()'
script 'error in a C function' 'string.rep()'
script 'error in a method of a string' 'local s = "x"; print(s:rep(1e10, {}))'
script 'error in a metamethod' 'local t = setmetatable({}, {__index = function(t, k) error("no " .. k) end, __add = function(a, b) return a.x end})
local x = t + 1'
script 'error in a sort comparator' 'table.sort({3, 2, 1}, function(a, b) error("cmp") end)'
script 'error in gsub' 'string.gsub("abc", "%w", function(c) error("sub " .. c) end)'
script 'error in a for iterator' 'for k in function() error("iter") end do end'
script 'error in a coroutine.wrap' 'local function g() error("inside") end
local co = coroutine.wrap(function() g() end)
co()'
script 'error in nested coroutine.wrap' 'coroutine.wrap(function() coroutine.wrap(function() error("in") end)() end)()'
script 'error in a wrap, table' 'coroutine.wrap(function() error({}) end)()'
script 'error through pcall and again' 'local ok, e = pcall(error, "one"); error(e, 0)'
script 'error in __close' 'local x <close> = setmetatable({}, {__close = function(_, e) error("closing after " .. tostring(e)) end})
error("first")'
script 'error in __close on a normal end' 'local x <close> = setmetatable({}, {__close = function(_, e) print(e); error("closing") end})'
script 'error with __close that succeeds' 'local x <close> = setmetatable({}, {__close = function(_, e) print("closed", e) end})
error("first")'
script 'error in require' 'require "no.such.module.at.all"'
script 'error in load' 'load("x x")()'
script 'error in a loaded string' 'load("local a = nil; a()", "=chunk")()'
script 'error in a long chunk name' 'load("error(1 .. [[]])", ("x"):rep(200))()'
script 'error in dofile' 'io.open("d.lua", "w"):write("\n\nerror(\"file\")"):close(); dofile("d.lua")'
script 'error in xpcall handler' 'print(xpcall(error, function() error("again") end, 1)); error("end")'
script 'error with a table' 'error({})'
script 'error with a table and code' 'error({code = 2})'
script 'error with __tostring' 'error(setmetatable({}, {__tostring = function() return "I am an object" end}))'
script 'error with __tostring of a number' 'error(setmetatable({}, {__tostring = function() return 5 end}))'
script 'error with __tostring that fails' 'error(setmetatable({}, {__tostring = function() error("worse") end}))'
script 'error with __name' 'error(setmetatable({}, {__name = "My.Type"}))'
script 'error with nil' 'error(nil)'
script 'error with nothing' 'error()'
script 'error with false' 'error(false)'
script 'error with a number' 'error(42)'
script 'error with a float' 'error(4.0)'
script 'error with a function' 'error(print)'
script 'error with a thread' 'error((coroutine.running()))'
script 'error with userdata' 'error(io.stdout)'
script 'error with an empty string' 'error("", 0)'
script 'error with lines' 'error("one\ntwo\n")'
script 'error with a zero byte' 'error("one\0two")'
script 'assert' 'assert(false)'
script 'assert with a message' 'assert(nil, "the message")'
script 'assert with a table' 'assert(false, {})'
script 'arithmetic on nil' 'local a; print(a + 1)'
script 'arithmetic on a field' 'local t = {}; print(t.x.y)'
script 'calling nil' 'undefined_function()'
script 'calling a method of nil' 'local t = {}; t:nothing()'
script 'comparing' 'print({} < {})'
script 'concatenating' 'print("a" .. {})'
script 'integer overflow' 'print(1 // 0)'
script 'no integer representation' 'print(1.5 | 1)'
script 'for loop values' 'for i = 1, "x" do end'
script 'for loop step' 'for i = 1, 2, 0 do end'
script 'goto a missing label' 'goto nowhere'
script 'syntax error' 'x = = 1'
script 'unfinished string' 'print("abc'
script 'unfinished block' 'do
do
x = 1'
script 'attempt to assign a const' 'local x <const> = 1; x = 2'
script 'traceback of traceback' 'print(debug.traceback("m", 0)); local function f() print(debug.traceback()) end f()'
script 'level of __tostring in the handler' 'm = {x=0}
setmetatable(m, {__tostring = function(x)
  return tostring(debug.getinfo(4).currentline + x.x)
end})

error(m)'
script 'yield from outside' 'coroutine.yield(1)'
script 'closing itself' 'coroutine.close(coroutine.running())'
script 'wrong arguments of coroutine functions' 'print(pcall(coroutine.resume)); print(pcall(coroutine.close, 1)); print(pcall(coroutine.status)); coroutine.resume(1)'
script 'wrong arguments of coroutine.close' 'coroutine.close(1)'
script 'wrong arguments of pcall' 'pcall()'
script 'wrong arguments of xpcall' 'xpcall(print)'
script 'wrong arguments of os.exit' 'os.exit("x")'
script 'wrong arguments of coroutine.wrap' 'coroutine.wrap(1)'
script 'a message that was made by concatenation' 'error(("x"):rep(10000))'
script 'a hook that fails' 'debug.sethook(function() error("hook") end, "", 100)
local x = 0
while true do x = x + 1 end'

same 'no such script' 'lua none.lua; echo $?; lua ./none; echo $?; lua /; echo $?'
same 'a directory' 'mkdir d; lua d; echo $?'
same 'an unreadable script' 'lua "$(printf "a\nb")"; echo $?'
same 'error in a script with a path' 'mkdir -p a/b; echo "error(1)" >a/b/c.lua; lua a/b/c.lua; lua ./a/../a/b/c.lua; lua "$(printf "./%080d/../a/b/c.lua" 1)" 2>/dev/null; echo $?'
same 'error in a script with a long path' 'd=$(printf "%080d" 1); mkdir $d; echo "error([[x]])" >$d/s.lua; lua $d/s.lua'
same 'error in a library' 'echo "local x = nil; x.y = 1" >lib.lua; echo "require \"lib\"" >s.lua; LUA_PATH=?.lua lua s.lua; LUA_PATH=?.lua lua -llib'
same 'output before an error' 'lua -e "io.write(\"no newline\"); error(\"x\")"; echo $?'
same 'output and errors in one pipe' 'lua -e "print(1); io.stderr:write(\"e\n\"); print(2); error(3)" 2>&1 | cat'
same 'error while finalizers wait' 'lua -e "x = setmetatable({}, {__gc = function() print(\"gc\") end}); error(\"e\")"; echo $?'
same 'collectgarbage in an error' 'lua -e "setmetatable({}, {__gc = function() error(\"in gc\") end}); collectgarbage(); print(1)"; echo $?'
same 'not enough memory' 'lua -e "print(pcall(string.rep, \"x\", 1 << 40)); local s = (\"x\"):rep(1 << 40)"; echo $?'
same 'the traceback of what is typed' 'printf "error([[a]])\nlocal function f() error({}) end f()\ncoroutine.wrap(error)([[x]])\nlocal x <close> = 1\n" | lua -i 2>&1 >/dev/null; echo $?'

finish
