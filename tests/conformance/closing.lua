-- To-be-closed variables on every way out of a block.
local function closer(name, fail)
    return setmetatable({name}, {__close = function(self, e)
        print("  close", self[1], e)
        if fail then error(fail, 0) end
    end})
end

do print "end of block" local a <close> = closer "a"; local b <close> = closer "b" end
for i = 1, 3 do local a <close> = closer("loop " .. i); if i == 2 then break end end
for i = 1, 2 do local a <close> = closer("goto " .. i); goto continue; ::continue:: end
do local i = 0; ::top:: i = i + 1; do local a <close> = closer("back " .. i); if i < 3 then goto top end end end
do local n = 0; while n < 2 do n = n + 1; local a <close> = closer("while " .. n) end end
do local n = 0; repeat n = n + 1; local a <close> = closer("repeat " .. n) until n >= 2 end
local function returns(...) local a <close> = closer "return"; return "values", ... end
print(returns(1, nil, 3))
local function no_tail() local a <close> = closer "tail"; return returns("in tail") end
print(no_tail())
local function many() local a <close> = closer "many"; return table.unpack({}, 1, 300) end
print(select("#", many()))
print(pcall(function() local a <close> = closer "a"; local b <close> = closer "b"; error("E", 0) end))
print(pcall(function() local a <close> = closer("a", "Ea"); local b <close> = closer("b", "Eb"); error("E", 0) end))
print(pcall(function() local a <close> = closer("a", "Ea"); local b <close> = closer "b" end))
print(pcall(function() local a <close> = closer "a"; local b <close> = closer("b", "Eb"); return 1 end))
print(xpcall(function() local a <close> = closer("a", "Ea"); error("E", 0) end, function(m) print("  handler", m) return "H" .. m end))
print(pcall(function() local a <close> = nil; local b <close> = false; return "nil and false" end))
print(pcall(function() local a <close> = {} end))
print(pcall(function() local a <close> = 42 end))
print(pcall(function() local a <close> = setmetatable({}, {__close = 5}) end))
print(pcall(function() local a <close> = closer "kept"; getmetatable(a).__close = nil end))
print(load("local a <close>, b <close> = 1, 2"))
print(load("local a <close> = nil; a = 1"))
print(load("local a <other> = nil"))
print(load("goto x; local a <close> = nil; ::x:: print(1)"))

-- the fourth value of a for
local function iterator(n, name) return function(_, i) i = (i or 0) + 1; if i <= n then return i end end, nil, nil, closer(name) end
for i in iterator(2, "for end") do io.write(i, " ") end
print()
for i in iterator(5, "for break") do if i == 2 then break end end
print((function() for i in iterator(5, "for return") do return i end end)())
print(pcall(function() for i in iterator(5, "for error") do error("E" .. i, 0) end end))
for _ in iterator(2, "outer") do for _ in iterator(1, "inner") do end end
print(pcall(function() for _ in next, {}, nil, {} do end end))

-- order with upvalues and nested functions
do
    local x = 1
    local a <close> = setmetatable({}, {__close = function() print("  x is", x) end})
    x = 2
    do local b <close> = setmetatable({}, {__close = function() x = x + 10 end}) end
end
local function level() local a <close> = setmetatable({}, {__close = function() print((debug.traceback("  in close"))) end}) end
level()
print(pcall(function() local a <close> = setmetatable({}, {__close = function() print((debug.traceback("  in close, error"))) end}); error "x" end))

-- recursion in __close, a coroutine in __close, pcall in __close
do
    local depth = 0
    local function make() return setmetatable({}, {__close = function() depth = depth + 1; if depth < 50 then local a <close> = make() end end}) end
    do local a <close> = make() end
    print(depth)
end
do local a <close> = setmetatable({}, {__close = function() print("  ", coroutine.wrap(function() return coroutine.yield(8) end)()) end}) end
do local a <close> = setmetatable({}, {__close = function() print("  ", pcall(error, "inside")) end}) end
print(pcall(function()
    local a <close> = setmetatable({}, {__close = function(_, e) print("  outer sees", e) end})
    local b <close> = setmetatable({}, {__close = function() local ok, e = pcall(error, "swallowed"); print("  ", ok, e) end})
    error("kept", 0)
end))
local function overflow() local a <close> = setmetatable({}, {__close = function() end}); return overflow() + 1 end
local ok, e = pcall(overflow)
print(ok, e:match("stack overflow"))

-- files
local name = os.tmpname()
local f
do local file <close> = io.open(name, "w"); f = file; file:write("text") end
print(io.type(f), io.open(name):read("a"))
for line in io.lines(name) do print(line) end
os.remove(name)
