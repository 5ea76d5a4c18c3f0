-- debug.traceback, getinfo, getlocal, sethook: levels in the main chunk and in coroutines.
local function show(where)
    print("-- " .. where)
    for level = 0, 10 do
        local i = debug.getinfo(level, "nSltu")
        if not i then print(level, "none") break end
        print(level, i.what, i.namewhat, i.name, i.short_src, i.currentline, i.linedefined, i.istailcall, i.nups, i.nparams, i.isvararg)
    end
    print(debug.traceback("traceback " .. where))
    print(debug.traceback("from 0", 0))
    print(debug.traceback("from 2", 2))
end

show "main"
local function nested() show "nested" end
nested()
local function tail() return show "tail" end
tail()
coroutine.wrap(function() show "coroutine" end)()
coroutine.wrap(function() coroutine.wrap(function() nested() end)() end)()
pcall(show, "pcall")
xpcall(error, function() show "handler" end)
table.sort({1, 2}, function() show "sort" return false end)
local once = setmetatable({}, {__index = function() show "index" end, __add = function() show "add" end, __close = function() show "close" end, __lt = function() show "lt" return true end})
local _ = once.x, once + 1, once < once
do local c <close> = once end
for _ in function() show "iterator" end do end
load("local show = ...; show 'loaded'", "=loaded")(show)
load("local show = ...; show 'text'")(show)
load(string.dump(load("local show = ...; show 'stripped'"), true))(show)
package.preload.debug_level_module = function() show "require" end
require "debug_level_module"
setmetatable({}, {__gc = function() show "gc" end})
collectgarbage()
function global_function() show "global" end
global_function()
local object = {method = function() show "method" end, inner = {field = function() show "field" end}}
object:method()
object.inner.field()

print "-- traceback of others"
local co = coroutine.create(function(a) local b = 5; local function deep(n) if n > 0 then deep(n - 1) else coroutine.yield() end end deep(3) end)
print(debug.traceback(co))
coroutine.resume(co, 1)
print(debug.traceback(co))
print(debug.traceback(co, "message"))
print(debug.traceback(co, "message", 1))
print(debug.traceback(co, nil, 2))
print(debug.traceback(co, nil, 40))
print(debug.traceback(co, {}) ~= nil, debug.traceback({}) ~= nil, debug.traceback(nil), debug.traceback(5))
for level = 0, 6 do
    local i = debug.getinfo(co, level, "nSl")
    print(level, i and i.what, i and i.name, i and i.currentline)
end
print(debug.getlocal(co, 1, 1), debug.getlocal(co, 5, 1), debug.getlocal(co, 5, 2), pcall(debug.getlocal, co, 20, 1))
print(debug.setlocal(co, 5, 2, 6), debug.getlocal(co, 5, 2))
local failed = coroutine.create(function() local x = 1; error("dead") end)
print(coroutine.resume(failed))
print(debug.traceback(failed))
print(debug.getlocal(failed, 1, 1))
local main = coroutine.running()
coroutine.wrap(function()
    print(debug.traceback(main, "main from a coroutine"))
    local i = debug.getinfo(main, 1, "Sl")
    print(i and i.what, i and i.short_src)
end)()

print "-- locals"
local function locals(a, b, ...)
    local c = a
    local i = 1
    while true do
        local name, value = debug.getlocal(1, i)
        if not name then break end
        print(i, name, value)
        i = i + 1
    end
    print(debug.getlocal(1, -1), debug.getlocal(1, -2), debug.getlocal(1, -3))
    print(debug.setlocal(1, 1, "changed"), a)
    print(pcall(debug.getlocal, 100, 1), pcall(debug.setlocal, -1, 1, 1))
end
locals(1, 2, "v1", "v2")
print(debug.getlocal(locals, 1), debug.getlocal(locals, 2), debug.getlocal(locals, 3), debug.getlocal(print, 1))
print(debug.getlocal(1, 1))
for i = 1, 3 do print((debug.getlocal(2, i))) end

print "-- hooks"
local function collect(mask, count, f, ...)
    local events = {}
    debug.sethook(function(event, line) events[#events + 1] = event .. (line and ":" .. line or "") end, mask, count)
    f(...)
    debug.sethook()
    return table.concat(events, " ")
end
local function sample(n) local t = 0 for i = 1, n do t = t + i end return t end
print(collect("c", nil, sample, 2))
print(collect("r", nil, sample, 2))
print(collect("crl", nil, sample, 2))
print(collect("crl", nil, function() return sample(1) end))
print(collect("", 10, sample, 50))
print(collect("l", nil, pcall, error, "x"))
print(collect("cr", nil, pcall, sample, 1))
print(collect("cr", nil, coroutine.wrap(function() sample(1) end)))
print(debug.gethook())
debug.sethook(print, "", 2 ^ 24 - 1)
print(debug.gethook() == print, select(2, debug.gethook()))
debug.sethook()
co = coroutine.create(function() coroutine.yield(10) return 20 end)
local seen = {}
debug.sethook(co, function(event) seen[#seen + 1] = event end, "clr")
repeat until not coroutine.resume(co)
print(table.concat(seen, " "), debug.gethook(co) ~= nil, debug.gethook())
local ok, message = pcall(function()
    debug.sethook(function() debug.sethook() error("from hook") end, "l")
    local x = 1
end)
print(ok, message)
debug.sethook(function() debug.sethook() print(pcall(coroutine.yield)) end, "l")
local line = 1
co = coroutine.create(function() local x = 1; local y = 2 end)
debug.sethook(co, function() debug.sethook(co) print("in hook", debug.getinfo(2, "l").currentline) end, "l")
print(coroutine.resume(co))
debug.sethook(function() end, "crl")
print(coroutine.wrap(function() return (debug.gethook()) end)())
debug.sethook()

print "-- other"
print(type(debug.getregistry()), debug.getregistry()[2] == _G, type(debug.getregistry()[1]))
print(debug.getinfo(print).what, debug.getinfo(print).short_src, debug.getinfo(1, "S").what, debug.getinfo(1000))
print(pcall(debug.getinfo, 1, "X"), pcall(debug.getinfo, "x"), pcall(debug.getinfo, 1, ">S"))
for _, name in ipairs {"pcall", "xpcall", "error", "print", "require", "coroutine.resume", "coroutine.yield", "coroutine.close", "coroutine.running", "coroutine.wrap", "os.exit"} do
    local f = load("return " .. name)()
    local i = debug.getinfo(f, "Su")
    print(name, i.what, i.nups, i.nparams, i.isvararg, debug.getupvalue(f, 1))
end
local lines = {}
for l in pairs(debug.getinfo(sample, "L").activelines) do lines[#lines + 1] = l - debug.getinfo(sample, "S").linedefined end
table.sort(lines)
print(table.concat(lines, " "))
