-- pcall, xpcall, error, assert: levels, values, handlers.
print(pcall(error))
print(pcall(error, nil))
print(pcall(error, "x", 0), pcall(error, "x", 1), pcall(error, "x", 2), pcall(error, "x", 3))
print(select("#", pcall(error)), select("#", pcall(function() return nil, nil end)))
print(pcall(function() error("one") end))
local function f1() error("two", 2) end
print(pcall(function() f1() end))
local function f2() error("three", 3) end
local function f3() f2() end
print(pcall(function() f3() end))
print(pcall(function() error("far", 50) end))
print(pcall(pcall), pcall(pcall, pcall), pcall(xpcall), pcall(xpcall, print), pcall(xpcall, print, 1))
print(pcall(function() pcall() end))
print(pcall(function() xpcall() end))
print(pcall(function() xpcall(print, {}) end))
print(pcall(nil), pcall(1), pcall({}))
print(pcall(setmetatable({}, {__call = function(_, ...) return "called", ... end}), 1, 2))
print(pcall(pcall, pcall, error, "deep"))
print(xpcall(function(...) return ... end, print, 1, nil, 3, nil))
print(xpcall(error, function(m) return m .. "!" end, "x"))
print(xpcall(error, function(...) return select("#", ...), ... end, "x"))
print(xpcall(error, function() end, "x"))
print(xpcall(nil, function(m) return "handled: " .. m end))
print(xpcall(function() local x = nil; x() end, function(m) return "handled: " .. m end))
print(xpcall(error, error, "x"))
print(xpcall(error, function() error("again", 0) end, "x"))
print(xpcall(function() error({}) end, function(m) return type(m) end))
print(xpcall(error, coroutine.running, 1) == false)
print(pcall(xpcall, error, setmetatable({}, {__call = print}), 1))
local depth = 0
print(xpcall(function() error("deep", 0) end, function(m) depth = depth + 1; if depth < 5 then error(m, 0) end return m .. depth end))
local function overflow() return 1 + overflow() end
local ok, m = pcall(overflow)
print(ok, m:match("stack overflow"))
ok, m = xpcall(overflow, function(e) return "handler got: " .. e:match("stack overflow") end)
print(ok, m)
print(xpcall(overflow, overflow))
ok, m = xpcall(overflow, debug.traceback)
print(ok, #m > 100, m:match("%.%.%.%s+%(skipping"))
local function gsub_overflow() return (string.gsub("a", ".", gsub_overflow)) end
ok, m = pcall(gsub_overflow)
print(ok, m:match("C stack overflow") or m:match("stack overflow"))
ok, m = pcall(function() local t = setmetatable({}, {}); getmetatable(t).__index = function(s, k) return s[k] end; return t.x end)
print(ok, m:match("C stack overflow"))
ok, m = pcall(function() local s = ("("):rep(300) .. ("}"):rep(10); return assert(load("return " .. s)) end)
print(ok, m:match("overflow") or m:match("limit"))

-- traceback in handlers
print((select(2, xpcall(function() error("with a traceback") end, debug.traceback))))
print((select(2, xpcall(function() local t = nil; return t.x end, function(e) return debug.traceback("T: " .. e, 2) end))))
local function named() error("in named") end
print((select(2, xpcall(function() named() end, function(e) return debug.traceback(e, 0) end))))
print((select(2, pcall(string.rep, "x", -1, {}))))
print(pcall(string.rep), pcall(string.char, 256), pcall(("x").rep, "x", 1 << 62))
print(pcall(function() ("x"):rep({}) end))
print(pcall(function() string.rep() end))
print(pcall(function() local s = string; s.rep("x", {}) end))
print(pcall(function() io.stdout.write() end))
print(pcall(function() io.stdout.seek(1) end))

-- assert
print(pcall(assert), pcall(assert, false), pcall(assert, nil, "m"), pcall(assert, false, nil))
print(select("#", assert(1, 2, nil)), pcall(assert, false, {}) )
print(pcall(function() assert(false) end))
print(pcall(function() assert(nil, "no position") end))

-- errors of values
for _, source in ipairs {"local a; a.b = 1", "local a = {}; a.b.c = 1", "x.y.z = 1", "undefinedf()", "local t = {} t:m()", "return #nil", "return -{}", "return {} .. 'x'", "return 1 < 'x'", "return {} < {}", "return nil > 1", "return 2^53 | 1.5", "return 1 // 0", "return 1 % 0", "return 'a' + 1", "return 'a' | 1", "return '1.5' | 1", "for i = 1, {} do end", "for i = 'a', 1 do end", "for i = 1, 10, 0 do end", "local t = {} t[nil] = 1", "local t = {} t[0/0] = 1", "for k in 5 do end", "local x <close> = 5", "local x <const> = 1; x = 2", "return math.tointeger({})", "return ('x')()", "return (1)()", "local a, b = 1; return a + b", "return _ENV.q.w", "string.format('%d', 1.5)", "string.format('%y', 1)", "string.rep('x', 1 << 40)", "setmetatable(1, {})", "setmetatable({}, 1)", "return setmetatable(setmetatable({}, {__metatable = 1}), {})", "rawset(1, 2, 3)", "next({}, 1)", "select(0)", "tonumber('1', 99)", "tonumber(1, 10)", "table.concat({{}})", "table.insert({}, 5, 5)", "table.unpack({}, 1, 1e8)", "table.sort({3, 1, 2, 5, 4}, function() return true end)", "utf8.codepoint('\\xff')", "math.random(2, 1)", "os.time({})", "os.date('%Ez')", "io.open('x', 'q')", "load(5)", "collectgarbage('x')", "goto x", "break", "::a:: ::a::", "return ...", "x = }", "x = 'abc", "x = [[abc", "x = 0x", "x = '\\q'", "x = '\\300'", "x = '\\u{110000000}'", "--[[", "local function f() return 1 2 end"} do
    local chunk, e = load(source, "=s")
    if chunk then print(source, pcall(chunk)) else print(source, e) end
end
