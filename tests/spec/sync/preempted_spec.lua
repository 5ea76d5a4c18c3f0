-- moonlet's own modules in Lua keep their promises though all code around them is preempted: users' functions that they
-- call, and what calls them.

dofile "tests/spec/support.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local pool = require "moonlet.pool"
local queue = require "moonlet.queue"
local task = require "moonlet.task"
local test = require "moonlet.test"

local MEANS = { 1, 2, 3, 7, 20, 100 }

local function under_preemption(fn)
  for seed, mean in ipairs(MEANS) do
    local _ <close> = test.preempt(seed, mean)
    fn()
  end
end

describe("while tasks are preempted", function()
  after_each(function() test.preempt() end)

  local orders = { "fifo", "lifo", "priority" }
  for _, order in ipairs(orders) do
    it("a queue hands every value over once: " .. order, function()
      under_preemption(function()
        local less = order == "priority" and function(a, b) local x, y = a, b return x < y end or nil
        local q = queue.new { capacity = 3, order = order ~= "priority" and order or nil, less = less }
        local seen, count = {}, 0
        local consumers = task.group()
        for _ = 1, 3 do
          consumers:spawn(function()
            for value in q:values() do
              assert(not seen[value], "a value came twice")
              seen[value] = true
              q:task_done()
            end
          end)
        end
        local producers = task.group()
        for p = 0, 3 do
          producers:spawn(function() for i = 1, 25 do assert(q:put(p * 25 + i)) end end)
        end
        producers:join()
        q:close()
        consumers:join()
        for _ in pairs(seen) do count = count + 1 end
        assert.are.equal(100, count)
        assert.are.equal(0, #q)
      end)
    end)
  end

  it("a pool never has more values than it may, and gives none to two at a time", function()
    under_preemption(function()
      local open, most, closed = 0, 0, 0
      local function count(opened, ended)
        open, closed = open + opened, closed + ended
        most = math.max(most, open - closed)
      end
      local p = pool.new {
        max = 3,
        open = function()
          task.no_switch(count, 1, 0)
          return { users = 0, close = function() task.no_switch(count, 0, 1) end }
        end,
        check = function(value) local fine = value.users == 0 return fine end,
      }
      local group = task.group()
      for i = 1, 8 do
        group:spawn(function()
          for _ = 1, 10 do
            local lease <close> = assert(p:lease())
            local value = lease.value
            assert(value.users == 0, "another task has it, too")
            value.users = 1
            task.yield()
            value.users = 0
            if i == 1 then lease:discard() end
          end
        end)
      end
      group:join()
      p:close()
      assert.is_true(most <= 3)
      assert.are.equal(open, closed)
    end)
  end)

  it("task.map gives each result its place", function()
    under_preemption(function()
      local squares = task.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(n) local m = n * n return m end, 3)
      assert.are.equal("1 4 9 16 25 36 49 64", table.concat(squares, " "))
    end)
  end)

  it("a server of HTTP answers each request with its own answer", function()
    under_preemption(function()
      local router = http.router()
      router:get("/double/{n}", function(req)
        local n = tonumber(req.params.n)
        local text = tostring(n * 2)
        return text
      end)
      local listener <close> = assert(net.listen("127.0.0.1", 0))
      local server = http.server(router)
      local serving = task.spawn(server.serve, server, listener)
      local base = "http://" .. tostring(listener:address()) .. "/double/"
      local answers = task.map({ 1, 2, 3, 4, 5, 6 }, function(n)
        local reply = assert(http.get(base .. n))
        local text = reply.body
        return text
      end, 6)
      assert.are.equal("2 4 6 8 10 12", table.concat(answers, " "))
      server:stop(5)
      serving:join()
    end)
  end)
end)
