-- Closures, goto, metamethods, varargs, and edges of the libraries.
local fs = {}
for i = 1, 3 do local j = i * 10; fs[i] = function(x) j = j + (x or 0); return i, j end end
print(fs[1](1), fs[1](), fs[2](), fs[3](5))
local function counter() local n = 0; return function() n = n + 1; return n end, function() return n end end
local inc, get = counter()
inc() inc()
print(get())
do
    local t = {}
    local i = 1
    ::again::
    local x = i
    t[i] = function() return x end
    i = i + 1
    if i <= 3 then goto again end
    print(t[1](), t[2](), t[3]())
end
for i = 1, 3 do for j = 1, 3 do if j == 2 then goto next_i end io.write(i, ",", j, " ") end ::next_i:: end
print()
print((function(...) local a, b = ...; return select("#", ...), a, b, (select(-1, ...)) end)(1, nil, 3, nil))
print(table.unpack(table.pack((function(...) return ..., ... end)(1, 2)), 1, 4))
print(select("#", table.unpack({n = 3}, 1, 3)), pcall(select, 0), select(-2, 1, 2, 3))

local log = {}
local mt = setmetatable({}, {__index = function(_, k) return function(a, b) log[#log + 1] = k; return 7 end end})
local o = setmetatable({}, {__index = function(t, k) return k .. "?" end, __newindex = function(t, k, v) rawset(t, k, v .. "!") end, __call = function(self, ...) return ... end, __tostring = function() return "object" end, __name = "Name", __len = function() return 42 end, __eq = function() return true end, __lt = function() return true end, __le = function() return false end, __concat = function(a, b) return "cat" end, __unm = function() return "neg" end, __pairs = function(t) return function(_, k) if not k then return 1, 2 end end, t, nil end})
o.x = "v"
print(o.y, o.x, o(1, 2), tostring(o), #o, o == setmetatable({}, getmetatable(o)), o < 1, 1 <= o, o .. "a", 1 .. o, -o)
for k, v in pairs(o) do print(k, v) end
print(rawequal(o, o), rawlen(o), rawget(o, "y"), getmetatable("").__index == string)
print(pcall(setmetatable, setmetatable({}, {__metatable = "locked"}), {}), getmetatable(setmetatable({}, {__metatable = "locked"})))
print(tostring(setmetatable({}, {__name = "Named"})):match("^Named: ") , pcall(tostring, setmetatable({}, {__tostring = function() return 5 end})))
print(string.format("%q", 1 / 3), string.format("%q", "a\n\0b\r\"\\"), string.format("%5.2f|%-5d|%05d|%+d|%x|%g|%a", 1.5, 3, 42, 7, 255, 1e20, 1))
print(math.maxinteger + 1 == math.mininteger, 7 // -2, -7 // 2, 7 % -3, -7 % 3, 7.5 // 2, -7.5 % 2, 1e308 * 10, -1 // 0.0, 0.0 / 0.0 ~= 0.0 / 0.0)
print(3 | 4, 5 & 6, 5 ~ 3, ~0, 1 << 63, 1 << 64, -1 >> 1, "10" + 5, "0x10" * 2, 10 .. 20, 2 ^ 0.5, 10 / 2, 3 == 3.0, math.type(3 // 1.0))
print(tonumber("0x1p4"), tonumber("  12  "), tonumber("1e"), tonumber("z", 36), tonumber("7", 8), tonumber("8", 8), math.tointeger("8"), math.tointeger(3.0), tonumber("1e1"), 0x7fffffffffffffff, 0xffffffffffffffffff)
print(("hello world"):find("o w"), ("hello"):find("l", 1, true), ("hello"):find(""), ("hello"):find("", 10), ("key = value"):match("^(%w+)%s*=%s*(%w+)$"), ("abc"):gsub("%w", "%0%0"), ("abc"):gsub("", "-"))
print(("x"):rep(3, ","), ("abc"):byte(1, -1), ("%d"):format(3.0), ("abc"):reverse(), ("test123"):gsub("%d", {["1"] = "one", ["2"] = false}), pcall(string.gsub, "x", "(", ""), pcall(string.find, "x", "[a"), ("f(a(b)c)d"):match("%b()"), ("THE (quick) fox"):find("%((%a+)%)"))
for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do io.write(k, v, ";") end
print(string.pack("<i4", 100):byte(1, -1))
print(string.unpack("<i4", "\100\0\0\0"), string.packsize("<i4i8"), pcall(string.unpack, "i4", "x"), string.pack("z", "hi"):len(), string.pack("s1", "abc"):byte(1, -1))
print(utf8.char(72, 228, 8364, 128512), utf8.len("häß€"), utf8.codepoint("€", 1), utf8.offset("aä€", 3), utf8.len("\xff"), pcall(utf8.codepoint, "\xff"), utf8.charpattern)
for p, c in utf8.codes("aä") do io.write(p, ":", c, " ") end
print(table.concat({1, 2, 3}, "-", 2, 3), table.concat({}), pcall(table.concat, {1, {}, 3}), table.remove({1, 2, 3}), table.remove({1, 2, 3}, 1), table.remove({}), #table.move({1, 2, 3}, 1, 3, 2))
local t = {5, 2, 8, 1, 9, 3}
table.sort(t, function(a, b) return a > b end)
print(table.concat(t, " "), pcall(table.sort, {1, "x"}), next({}), type(next), rawlen({1, 2}), #"abc", select("#", nil, nil))
print(math.floor(-3.5), math.ceil(-3.5), math.fmod(-7, 3), math.fmod(7, -3), math.ult(1, -1), math.abs(math.mininteger), math.max(1, 2.5), math.pi, math.sqrt(2), pcall(math.floor, "x"), math.tointeger(2 ^ 53))
math.randomseed(42)
local r1 = math.random(1000)
math.randomseed(42)
print(r1 == math.random(1000), pcall(math.random, 0, -1), math.random(3, 3))
print(os.time({year = 2020, month = 1, day = 1, hour = 12}), os.date("!%Y-%m-%d %H:%M:%S", 0), os.date("!*t", 3600).hour, pcall(os.date, "%"), os.getenv("NO_SUCH_VARIABLE"), type(os.clock()), os.difftime(5, 3))
print(_VERSION, type(_G), _G._G == _G, _ENV == _G)
local env = {print = print}
do local _ENV = env; x = 5; print(x) end
print(env.x, x)
print(load("return " .. ("("):rep(100) .. "1" .. (")"):rep(100))())
print(#load("return '" .. ("x"):rep(100000) .. "'")(), load("local " .. ("a,"):rep(250) .. "b = 1"))
