-- load, string.dump, dofile, require, package.
print(load("return 1 + 1")(), load("x ="), load("return ...", "=n")(5))
print(load(function() return nil end) ~= nil, load(function() return {} end), load(function() error("reader", 0) end))
print(load(function() error() end), load(function() error({}) end) == nil)
local parts, i = {"return", " ", "", "1"}, 0
print(load(function() i = i + 1 return parts[i] end)())
print(load("x", "=name"), load("x", "@file"), load("x", "text of the chunk"), load("x\ny z", "first\nsecond"))
print(load("return a", "=c", "t", {a = 5})(), load("a = 1; return _ENV", "=c", "t", {}) ().a, pcall(load("return a", "=c", "t", nil)))
print(load("x", "=c", "b"), load(string.dump(function() end), "=c", "t"), pcall(load, "x", "=c", "q"))
print(load("\27Lua"), load("\27Lua", "=bin", "b"), load(string.dump(function() end):sub(1, -2), "=cut"))
local function upvalues() local a, b = 1, 2; return function() a = a + 1; return a, b, print end end
local dumped = load(string.dump(upvalues()))
print(debug.getupvalue(dumped, 1), debug.getupvalue(dumped, 2), pcall(dumped))
print(#string.dump(upvalues, true) < #string.dump(upvalues), pcall(string.dump, print), pcall(string.dump))
local stripped = load(string.dump(load("local x = nil; x.y = 1"), true))
print(pcall(stripped))
print(coroutine.wrap(function() return load(function() return nil end) ~= nil end)())
print(pcall(dofile, "no_such_file.lua"))
print(loadfile("no_such_file.lua"))
print(pcall(loadfile, "x", "q"))
local function write(name, text) local f = assert(io.open(name, "w")) f:write(text) f:close() end
write("t.lua", "#! comment\nlocal a = ...; coroutine.yield('from file'); return a, debug.getinfo(1, 'Sl').short_src, debug.getinfo(1, 'l').currentline")
local co = coroutine.wrap(dofile)
print(co("t.lua"), co())
print(loadfile("t.lua", "b"), type(loadfile("t.lua", "t", {})))
write("t.lua", "x = = 1")
print(loadfile("t.lua"), pcall(dofile, "t.lua"))

print(package.config)
print(#package.searchers, type(package.preload), package.loaded._G == _G, package.loaded.string == string)
local names = {}
for name in pairs(package.loaded) do names[#names + 1] = name end
table.sort(names)
print(table.concat(names, " "))
names = {}
for name in pairs(_G) do names[#names + 1] = name end
table.sort(names)
print(table.concat(names, " "))
for _, library in ipairs {"coroutine", "debug", "os", "io", "package", "table", "string", "math", "utf8"} do
    names = {}
    for name in pairs(_G[library]) do names[#names + 1] = name end
    table.sort(names)
    print(library, table.concat(names, " "))
end

package.path, package.cpath = "./?.lua;./?/init.lua", "./?.so"
print(pcall(require, "no_such_module"))
print(pcall(require, "no.such.module"))
print(pcall(require))
print(pcall(require, {}))
print(package.searchpath("a.b", "./?.x;?/?.y"), package.searchpath("a-b", "?.x", "-", "+"), package.searchpath("t", "./?.lua"))
print(pcall(package.searchpath, "x"))
write("names.lua", "return {...}")
local m, extra = require "names"
print(m[1], m[2], extra, require "names" == m, select("#", require "names"))
write("nothing.lua", "loads = (loads or 0) + 1")
print(require "nothing", require "nothing", loads, package.loaded.nothing)
write("untrue.lua", "return false")
print(require "untrue", package.loaded.untrue)
write("sets.lua", "package.loaded[...] = 25")
print(require "sets", require "sets")
write("fails.lua", "local x = nil; x.y = 1")
print(pcall(require, "fails"))
print(pcall(require, "fails"))
write("syntax.lua", "x = ")
print(pcall(require, "syntax"))
write("loop_a.lua", "return require 'loop_b'")
write("loop_b.lua", "loops = (loops or 0) + 1; if loops > 3 then return loops end; return require 'loop_a'")
print(pcall(require, "loop_a"))
write("yields.lua", "return pcall(coroutine.yield, 1)")
print(require "yields")
write("running.lua", "return select(2, coroutine.running())")
print(require "running")
package.preload.mine = function(...) return {...} end
m, extra = require "mine"
print(m[1], m[2], extra)
package.preload.bad = function() error("bad preload") end
print(pcall(require, "bad"))
package.preload.odd = 5
print(pcall(require, "odd"))
package.preload.odd = nil
table.insert(package.searchers, 2, function(name) if name == "virtual" then return function(...) return table.concat({...}, "+") end, "data" end return "\n\tno virtual '" .. name .. "'" end)
print(require "virtual")
print(pcall(require, "not_virtual"))
table.remove(package.searchers, 2)
write("c.so", "not a library")
print((select(2, pcall(require, "c")):gsub("\n.*", "")))
print((select(2, pcall(require, "d.c")):gsub("\n.*", "")))
print(package.loadlib("./none.so", "f"), package.loadlib("./none.so", "*"))
local searchers = package.searchers
package.searchers = nil
print(pcall(require, "again"))
package.searchers = {}
print(pcall(require, "again"))
package.searchers = searchers
package.path = nil
print(pcall(require, "again"))
package.path, package.cpath = "?", nil
print(pcall(require, "again"))
package.cpath = ""
print(pcall(require, "again"))
local loaded = package.loaded
package.loaded = {}
print(require "string" == string)
package.loaded = loaded
for n = 1, 4 do print(n, pcall(searchers[n], "q.w")) end
print(pcall(searchers[3]), pcall(searchers[4], {}))
