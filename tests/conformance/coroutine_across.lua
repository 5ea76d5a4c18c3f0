-- Yields across protected calls, metamethods, iterators; depth.
local wrap, yield = coroutine.wrap, coroutine.yield

local function trace(f, ...)
    local co, out = coroutine.create(f), {}
    local r = table.pack(coroutine.resume(co, ...))
    while coroutine.status(co) ~= "dead" do
        out[#out + 1] = tostring(r[2])
        r = table.pack(coroutine.resume(co, r[2]))
    end
    for i = 1, r.n do r[i] = tostring(r[i]) end
    print(table.concat(out, ","), "->", table.concat(r, " "))
end

trace(function() return pcall(function() return yield(1), yield(2) end) end)
trace(function() return pcall(function() yield(1); error("x", 0) end) end)
trace(function() return pcall(pcall, pcall, function() yield(1); error("x", 0) end) end)
trace(function() return pcall(yield, 4) end)
trace(function() return xpcall(function() yield(1); error("x", 0) end, function(m) return "h" .. m end) end)
trace(function() return xpcall(function(...) yield(1); return ... end, print, 5, 6) end)
trace(function() return select(2, pcall(error, {}))[1] end)
trace(function() local ok, e = pcall(function() local x <close> = setmetatable({}, {__close = function() yield("closing") end}); error("e", 0) end); return ok, e end)
trace(function() local x <close> = setmetatable({}, {__close = function() yield("c1"); yield("c2") end}); return yield("body") end)
trace(function() for i in (function(_, i) i = (i or 0) + 1; yield(i); if i < 4 then return i end end) do end return "done" end)
trace(function() for i in pairs(setmetatable({}, {__pairs = function() yield("pairs"); return next, {a = 1} end})) do yield(i) end end)
trace(function() return (dofile and true) end)
trace(function() return require and #package.loaded._G.tostring(yield(1)) end)

local mt = {}
for _, op in ipairs {"add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor", "shl", "shr", "bnot", "concat", "len", "eq", "lt", "le", "index", "newindex", "call"} do
    mt["__" .. op] = function(a, b) yield(op); return op end
end
local a, b = setmetatable({}, mt), setmetatable({}, mt)
trace(function() return a + 1, 1 - a, a * b, a / 2, a % 3, a ^ 2, -a, a // 1, a & 1, 1 | a, a ~ b, a << 1, 1 >> a, ~a end)
trace(function() return a .. "x", "x" .. a .. "y", #a, a == b, a ~= b, a < b, a <= b, a > 1, 1 >= a, a.x, a[1], a(1) end)
trace(function() a.x = 1; a[1] = 2; return rawlen(a) end)
trace(function() if a < b then return "less" end return "not" end)
trace(function() return not (a == b) end)
do
    local env = setmetatable({}, {__index = function(_, k) yield(k) return k end, __newindex = function(_, k) yield("set " .. k) end})
    trace(load("x = y; return z", "=c", "t", env))
end

-- through coroutines inside coroutines
trace(function()
    local f = wrap(function() yield("i1"); yield("i2") end)
    yield(f()); yield(f()); return "o"
end)

-- depth
local function depth(n) if n == 0 then yield("bottom") return 0 end return 1 + depth(n - 1) end
trace(depth, 10000)
local function pdepth(n) if n == 0 then yield("bottom") return 0 end local _, r = pcall(pdepth, n - 1) return 1 + r end
trace(pdepth, 100)
print(pcall(function() local function f(n) return f(n + 1) + 1 end return f(1) end))

-- coroutines without an end: the limit of C levels, and after it all is well
local levels = 0
local function forever() levels = levels + 1; wrap(forever)() end
local ok, message = pcall(forever)
print(ok, (message:gsub("^.*:%d+: ", "")), levels > 100)
ok, message = pcall(function() local function f() local co = coroutine.create(f) local _, e = coroutine.resume(co) return e end return f() end)
print(ok, message)
local function nest(n) if n == 0 then return "bottom" end return wrap(nest)(n - 1) end
print(nest(100), nest(150))
local co = wrap(function() yield(1); local function again() return wrap(again)() end print(select("#", pcall(again))) yield(2) end)
print(co(), co())

-- gsub, sort, load with callbacks that do not yield, inside a coroutine
trace(function()
    local r = string.gsub("abc", "%w", function(c) return c:upper() end)
    local t = {3, 1, 2}
    table.sort(t, function(x, y) return x < y end)
    yield(r)
    local parts = {"return ", "7", nil}
    local i = 0
    return load(function() i = i + 1 return parts[i] end)(), table.concat(t)
end)
