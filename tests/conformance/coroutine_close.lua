-- coroutine.close with pending variables, errors, in each state.
local function closer(name, fail)
    return setmetatable({}, {__close = function(_, e)
        print("  close", name, e)
        if fail then error(fail, 0) end
    end})
end
local create, resume, yield, close, status = coroutine.create, coroutine.resume, coroutine.yield, coroutine.close, coroutine.status

print("not started", close(create(print)))
local co = create(function() end)
print(close(co), status(co), resume(co))
resume(co)
print("twice", close(co), close(co))
co = create(error)
print(resume(co, "msg"))
print("after an error", close(co))
print("and again", close(co))
print("resume", resume(co))

co = create(function()
    local a <close> = closer "a"
    local b <close> = closer "b"
    do local c <close> = closer "c" end
    yield()
end)
resume(co)
print("pending", close(co))
print(status(co))
print("again", close(co))

co = create(function()
    local a <close> = closer("a", "error a")
    local b <close> = closer "b"
    local c <close> = closer("c", "error c")
    yield()
end)
resume(co)
print("errors", close(co))
print("again", close(co))

co = create(function() local a <close> = closer "a"; error("body", 0) end)
print("error closes", resume(co))
print(status(co), close(co))

co = create(function() local a <close> = closer("a", "from close"); error("body", 0) end)
print("error in close", resume(co))
print(close(co))

co = create(function() local a <close> = closer("a", nil); error() end)
print("nil error", resume(co))
print(close(co))

-- yield in a __close
co = create(function()
    local a <close> = setmetatable({}, {__close = function(_, e) print("  before", e); yield("in close"); print("  after") end})
    return "result"
end)
print(resume(co))
print(resume(co))
print(resume(co))
co = create(function()
    local z <close> = closer "z"
    local a <close> = setmetatable({}, {__close = function(_, e) print("  before", e); yield("in close"); print("  after") end})
    error("body", 0)
end)
print(resume(co))
print(status(co))
print(close(co))
co = create(function()
    local a <close> = setmetatable({}, {__close = function() print(pcall(yield, 1)) end})
    yield()
end)
resume(co)
print("yield while closing", close(co))
co = create(function()
    local a <close> = setmetatable({}, {__close = function() print("  sees", status(co), coroutine.running() == co, coroutine.isyieldable()) end})
    yield()
end)
resume(co)
print(close(co))
co = create(function()
    local a <close> = setmetatable({}, {__close = function() print("  close itself", pcall(close, co)); print("  resume itself", resume(co)) end})
    yield()
end)
resume(co)
print(close(co))

-- close inside others
coroutine.wrap(function()
    local inner = create(function() local a <close> = closer "inner"; yield() end)
    resume(inner)
    print("from a coroutine", close(inner))
end)()
local list = {}
for i = 1, 20 do
    local previous = list[i - 1]
    list[i] = create(function()
        local a <close> = setmetatable({}, {__close = function() if previous then assert(close(previous)) end io.write(i, " ") end})
        yield()
    end)
    resume(list[i])
end
print("chain", close(list[20]))

-- wrap closes after an error
local f = coroutine.wrap(function() local a <close> = closer "w"; yield(1); error("e", 0) end)
print(f(), pcall(f))
f = coroutine.wrap(function() local a <close> = closer("w", "second"); yield(1); error("first", 0) end)
print(f(), pcall(f))
print(pcall(f))

-- pcall in a coroutine that is closed
co = create(function()
    print("  pcall", pcall(function()
        local a <close> = closer "in pcall"
        yield(1)
    end))
    print "  not reached"
end)
resume(co)
print("through pcall", close(co))
co = create(function()
    for _, v in (function() return function() return yield(5) end, nil, nil, closer "for" end)() do end
end)
resume(co)
print("for loop", close(co))

-- collected while suspended: nothing is closed
co = create(function() local a <close> = closer "never"; yield() end)
resume(co)
co = nil
collectgarbage()
print(pcall(coroutine.close, coroutine.running()))
