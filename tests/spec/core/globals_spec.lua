--- The library's modules that are written in Lua have what they need of the globals in locals: a script may do with its
-- globals what it likes.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local function is_there(program)
  return os.execute(("command -v %s >/dev/null"):format(program)) == true
end

-- The globals that the functions of a file use when they are called, from luac's listing.
local function used_later(path)
  local listing, names = support.shell(("luac5.4 -l -p %s"):format(path)), {}
  local in_function = false
  for line in listing:gmatch "[^\n]+" do
    if line:find "^main" then in_function = false elseif line:find "^function" then in_function = true end
    local name = line:match '_ENV "([^"]*)"'
    if name and in_function then names[#names + 1] = name end
  end
  return names
end

describe("modules of stdlib/", function()
  it("use no global after they are loaded, but for what a session prints with", function()
    if not is_there "luac5.4" then return pending "needs luac5.4" end
    local files = support.shell "find stdlib -name '*.lua'"
    local count = 0
    for path in files:gmatch "%S+" do
      count = count + 1
      for _, name in ipairs(used_later(path)) do
        assert(name == "_G" and path:find "repl", ("%s uses the global %s"):format(path, name))
      end
    end
    assert.is_true(count > 8)
  end)

  it("work for a script without globals", function()
    local output = support.run [[
      local moonlet = require "moonlet"
      local task, net, sync, queue, pool = moonlet.task, moonlet.net, moonlet.sync, moonlet.queue, moonlet.pool
      local test = moonlet.test
      local assert, print, tostring, pcall, error = assert, print, tostring, pcall, error
      local tables = { table, math, string }
      for _, t in ipairs(tables) do
        for name in pairs(t) do if t ~= string then t[name] = nil end end
      end
      local names = {}
      for name in pairs(_G) do names[#names + 1] = name end
      for i = 1, #names do _ENV[names[i] ] = nil end

      local server = net.listen("127.0.0.1", 0)
      local serving = task.spawn(function()
        return server:serve({ max = 2 }, function(conn)
          if conn:read_line() == "fail" then error "failed" end
          conn:write "hello\n"
        end)
      end)
      local conn = net.connect(server:address())
      conn:write "x\n"
      print(conn:read_line())
      conn:close()
      print(server:stop(), serving:join())

      print(task.all { function() return 1 end, function() error "x" end }[1])
      print(task.map({ 1, 2 }, function(i) return i * 2 end, 1)[2])
      print(task.race { function() task.sleep(10) end, function() return "first" end })
      print(task.timeout(0.01, task.every, 0.001, function() end))
      local tries = 0
      print(task.supervise { backoff = { 0.001, 0.001 }, fn = function()
        tries = tries + 1
        return tries == 3 and "third" or error "again"
      end })
      local future = sync.future()
      future:set(1, nil, 3)
      print(future:get())
      local function try(order)
        local q = queue.new { order = order }
        q:put(2) q:put(1) q:put(3)
        print(order, q:get(), q:get(), q:get(), #q)
      end
      try "fifo" try "lifo" try "priority"
      local things = pool.new {
        open = function() return {} end,
        close = function() end,
        check = function() return true end,
      }
      for _ = 1, 2 do local lease <close> = things:lease() end
      things:close()
      print(pcall(queue.new, { capacity = -1 }))
      print(pcall(pool.new, {}))
      print(pcall(task.every, "x"))
      local left = test.leaks()
      print(#left())
      local _ <close> = test.virtual_clock()
      task.sleep(1000)
      print "end"
    ]]
    assert.is_truthy(output:find("end\n$"), output)
    assert.is_nil(output:find("nil value", 1, true), output)
  end)
end)
