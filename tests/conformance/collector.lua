-- The collector: options, order of finalizers, weak tables, modes.
collectgarbage("incremental") -- lua5.4 starts in generational mode, moonlet does not
print(collectgarbage(), collectgarbage("collect"), math.type(collectgarbage("count")))
print(collectgarbage("isrunning"), collectgarbage("stop"), collectgarbage("isrunning"), collectgarbage("restart"), collectgarbage("isrunning"))
print(collectgarbage("setpause", 150), collectgarbage("setpause", 200), collectgarbage("setstepmul", 300), collectgarbage("setstepmul", 100))
print(collectgarbage("incremental"), collectgarbage("generational"), collectgarbage("generational"), collectgarbage("incremental"), collectgarbage("incremental"))
print(collectgarbage("incremental", 120, 200, 10), collectgarbage("generational", 20, 100), collectgarbage("incremental", 200, 100, 13))
print(collectgarbage("step", 100000), pcall(collectgarbage, "x"), pcall(collectgarbage, 5))
collectgarbage("stop")
local before = collectgarbage("count")
for i = 1, 1000 do local t = {} end
print(collectgarbage("count") > before)
collectgarbage("restart")

-- order of finalizers: the last marked goes first
local out = {}
do
    for i = 1, 6 do setmetatable({}, {__gc = function() out[#out + 1] = i end}) end
end
collectgarbage()
print(table.concat(out, " "))
-- a finalizer set after setmetatable does not count
local mt = {}
setmetatable({}, mt)
mt.__gc = function() print "never" end
collectgarbage()
-- resurrection, and a second finalizer
local saved, times = nil, 0
local phoenix = {__gc = function(o) times = times + 1; saved = o end}
setmetatable({}, phoenix)
collectgarbage()
print(saved ~= nil, times)
setmetatable(saved, phoenix)
saved = nil
collectgarbage()
print(saved ~= nil, times)
-- what a finalizer may do
setmetatable({}, {__gc = function() print(math.type(collectgarbage("count")), collectgarbage(), collectgarbage("step"), collectgarbage("isrunning")) end})
collectgarbage()
setmetatable({}, {__gc = function() print(coroutine.wrap(function(...) return coroutine.yield(...) end)("in a coroutine")) end})
collectgarbage()
setmetatable({}, {__gc = function() print(coroutine.isyieldable(), select(2, coroutine.running()), pcall(coroutine.yield)) end})
collectgarbage()
coroutine.wrap(function()
    setmetatable({}, {__gc = function() print(coroutine.isyieldable(), select(2, coroutine.running()), pcall(coroutine.yield)) end})
    collectgarbage()
    setmetatable({}, {__gc = function() error "in a coroutine" end})
    collectgarbage()
end)()
setmetatable({}, {__gc = function() error("told by warn") end})
collectgarbage()
warn("@on")
setmetatable({}, {__gc = function() error("told by warn") end})
collectgarbage()
setmetatable({}, {__gc = function() error({}) end})
collectgarbage()
warn("@off")
setmetatable({}, {__gc = true})
setmetatable({}, {__gc = "text"})
collectgarbage()

-- weak tables
local weak = setmetatable({}, {__mode = "k"})
weak[{}] = 1; weak[1] = {}; weak.text = {}
collectgarbage()
local n = 0
for _ in pairs(weak) do n = n + 1 end
print(n)
weak = setmetatable({}, {__mode = "v"})
weak[1] = {}; weak[2] = "text"; weak[3] = 5; weak.x = function() return n end; weak.y = print; weak[{}] = 1
collectgarbage()
n = 0
for _ in pairs(weak) do n = n + 1 end
print(n, weak[1], weak[2], weak[3], weak.x, weak.y == print)
local ephemeron = setmetatable({}, {__mode = "k"})
do local k = {}; ephemeron[k] = {k} end
local kept = {}
ephemeron[kept] = {kept}
collectgarbage()
n = 0
for _ in pairs(ephemeron) do n = n + 1 end
print(n)
-- weak references and finalizers
local object = setmetatable({}, {__gc = function(o) out = {weak_value = weak.o, weak_key = ephemeron[o]} end})
weak.o, ephemeron[object] = object, "key"
object = nil
collectgarbage()
print(out.weak_value, out.weak_key)
-- threads
weak = setmetatable({}, {__mode = "v"})
weak.thread = coroutine.create(function() local me = coroutine.running(); local x = {me}; coroutine.yield(x) end)
coroutine.resume(weak.thread)
collectgarbage()
print(weak.thread)
weak.f = coroutine.wrap(function() local a = 10; local function f() a = a + 10 return a end while true do a = a + 1 coroutine.yield(f) end end)
local f = weak.f()
print(f())
collectgarbage()
print(weak.f, f())
local finalized = false
do
    local function body(param)
        (function() param = setmetatable({param}, {__gc = function() finalized = true end}); coroutine.yield() end)()
    end
    local co = coroutine.create(body)
    coroutine.resume(co, co)
end
collectgarbage()
print(finalized)
for i = 1, 1000 do local co = coroutine.create(function(c) local x = {}; out[i] = function() return c, x end; coroutine.yield() end); coroutine.resume(co, co) end
out = nil
collectgarbage()
-- memory goes back
local function measure(make)
    collectgarbage() collectgarbage()
    local start = collectgarbage("count")
    for _ = 1, 2000 do make() end
    collectgarbage() collectgarbage()
    return collectgarbage("count") - start < 50
end
print(measure(function() return {} end), measure(function() return coroutine.wrap(function() coroutine.yield() end)() end), measure(function() pcall(error, {}) end), measure(function() return coroutine.close(coroutine.create(print)) end))
-- generational mode runs all this too
collectgarbage("generational")
local t = {}
for i = 1, 20000 do t[i % 100] = {i, tostring(i)} end
coroutine.wrap(function() for i = 1, 5000 do t[i % 100] = {coroutine.create(print)} end end)()
collectgarbage("step")
collectgarbage("incremental")
collectgarbage()
print(#t)
-- at the end
last1 = setmetatable({}, {__gc = function() print "last 1" end})
last2 = setmetatable({}, {__gc = function() print "last 2"; setmetatable({}, {__gc = function() print "never" end}) end})
