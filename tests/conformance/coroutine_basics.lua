-- create, resume, yield, status, running, isyieldable, wrap: values and error texts.
local create, resume, yield, status, wrap = coroutine.create, coroutine.resume, coroutine.yield, coroutine.status, coroutine.wrap

local main, is_main = coroutine.running()
print("main", type(main), is_main, status(main), coroutine.isyieldable(), coroutine.isyieldable(main))
print("resume main", resume(main))
print("resume main with values", resume(main, 1, 2, 3))
print("close main", pcall(coroutine.close, main))
print("yield in main", pcall(yield, 1))
print("yield in main, called by Lua", pcall(function() yield(1) end))
print("yield in main, in a metamethod", pcall(function() return setmetatable({}, {__index = function() return yield(1) end}).x end))
print("yield in main, in sort", pcall(table.sort, {1, 2, 3}, function() yield() end))
print("yield in main, in a for", pcall(function() for _ in yield do end end))
print("running twice", coroutine.running() == main, select("#", coroutine.running()))

-- values
local co = create(function(...)
    print("started", select("#", ...), ...)
    print("second", select("#", yield(1, nil, 3, nil)))
    print("third", yield())
    return nil, "end", nil
end)
print(status(co), coroutine.isyieldable(co))
print(resume(co, nil, 2, nil))
print(status(co), coroutine.isyieldable(co))
print(resume(co, 1, nil, nil))
print(resume(co, "x", "y"))
print(status(co), resume(co), resume(co, 1, 2))
print(select("#", resume(create(function() end))), select("#", resume(create(function() return nil end))))

-- status from every position
local outer
outer = create(function()
    print("own", status(outer), "main", status(main), coroutine.running() == outer, select(2, coroutine.running()))
    local inner = create(function()
        print("outer from inner", status(outer), "main", status(main))
        print("resume outer from inner", resume(outer))
        print("close outer from inner", pcall(coroutine.close, outer))
        print("resume main from inner", resume(main))
        print("close main from inner", pcall(coroutine.close, main))
        yield()
    end)
    resume(inner)
    print("inner", status(inner))
    print("resume itself", resume(outer))
    print("close itself", pcall(coroutine.close, outer))
    print("resume main", resume(main))
    resume(inner)
    print("inner", status(inner))
    yield()
end)
resume(outer)
print(status(outer), resume(outer), status(outer))
print("close itself, called by Lua", resume(create(function() coroutine.close((coroutine.running())) end)))
print("close main, called by Lua", resume(create(function() coroutine.close(main) end)))

-- wrong arguments
for _, name in ipairs {"create", "resume", "wrap", "status", "close", "isyieldable"} do
    for _, value in ipairs {1, "x", {}, print, false} do
        print(name, type(value), (select(2, pcall(function() local r = coroutine[name](value) return type(r) end))))
    end
    print(name, "nothing", select(2, pcall(coroutine[name])))
    print(name, "nil", select(2, pcall(coroutine[name], nil)))
end
local resume_method = {go = coroutine.resume, stop = coroutine.close}
print(pcall(function() resume_method:go() end))
print(pcall(function() resume_method:stop() end))

-- errors in the body
print(resume(create(function() error("text") end)))
print(resume(create(function() error("text", 0) end)))
print(resume(create(function() error("text", 2) end)))
print(resume(create(function() error() end)))
print(resume(create(error), {}) == false)
print(resume(create(error), "x"))
print(resume(create(string.rep)))
print(resume(create(function() local x = nil + 1 end)))
print(pcall(wrap(function() error("in wrap") end)))
print(pcall(wrap(function() error("in wrap", 0) end)))
print(pcall(wrap(function() error(nil) end)))
print(pcall(wrap(function() error(setmetatable({}, {__tostring = function() return "obj" end})) end)))
print(pcall(function() local f = wrap(function() error("position is added once") end) f() end))
local w = wrap(function() yield(1) end)
print(w(), w())
print(pcall(w))
print(pcall(function() w() end))
w = wrap(function() w() end)
print(pcall(w))
print(pcall(function() local g; g = wrap(function() return g() end) return g() end))

-- many values
print(select("#", wrap(function(...) return ... end)(table.unpack({}, 1, 5000))))
print(pcall(wrap(function() return table.unpack({}, 1, 1e6 - 10) end)))
print(resume(create(function() return table.unpack({}, 1, 999990) end)))
local many = create(function() yield(table.unpack({}, 1, 200)) end)
print(select("#", resume(many)))

-- generators
local function count(n) return wrap(function() for i = 1, n do yield(i, i * i) end end) end
for a, b in count(4) do io.write(a, ":", b, " ") end
print()
local function gen(n) return wrap(function() for i = 2, n do yield(i) end end) end
local function filter(p, g)
    return wrap(function()
        while true do
            local n = g()
            if n == nil then return end
            if n % p ~= 0 then yield(n) end
        end
    end)
end
local primes, x = {}, gen(200)
while true do
    local n = x()
    if n == nil then break end
    primes[#primes + 1] = n
    x = filter(n, x)
end
print(table.concat(primes, " "))
local function permute(a, n)
    if n == 0 then yield(table.concat(a)) end
    for i = 1, n do
        a[i], a[n] = a[n], a[i]
        permute(a, n - 1)
        a[i], a[n] = a[n], a[i]
    end
end
local all = {}
for p in wrap(function() permute({"a", "b", "c"}, 3) end) do all[#all + 1] = p end
print(table.concat(all, " "))

-- yield in tail position, yield as the body, print as the body
print(wrap(function() return yield(7) end)())
co = create(yield)
print(resume(co, 1, 2), resume(co, 3), resume(co))
co = wrap(wrap(function() end))
print(pcall(co))
print(resume(create(print), "printed"))
print(resume(create(pcall), error, "caught"))
print(resume(create(resume), create(function(...) return ... end), 5))
print(resume(create(create)))

-- locals of a dead coroutine
local keep
co = create(function() local a = 10; keep = function() a = a + 1 return a end; error("x", 0) end)
print(resume(co), resume(co, 1, 1, 1, 1), keep(), keep())
