--- An order with one effect of each kind, in a process of its own, and a ledger of these effects: what the proofs of
-- durable runs share. Loaded with dofile("tests/spec/durable/ledger.lua").

local durable = require "moonlet.durable"
local process = require "moonlet.process"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local ledger = {}

--- Processes that run at a time.
ledger.AT_ONCE = 4

--- Every write is tried where there is time for it: MOONLET_SOAK=1.
ledger.STRIDE = os.getenv "MOONLET_SOAK" and 1 or os.getenv("MOONLET"):find "hostile" and 7 or 3

-- Its arguments are in the environment: ADDRESS of the database, LOG of effects outside of it.
local ORDER = [[
local durable = require "moonlet.durable"
local task = require "moonlet.task"
local d
repeat
  local message, code
  d, message, code = durable.open(os.getenv "ADDRESS", { lease = 30, recoveries = 1000 })
  if not d and not code:find "^08" then error(message) end -- a connection that was cut
until d
local function effect(...)
  local file <close> = assert(io.open(os.getenv "LOG", "a"))
  file:write(table.concat({ ... }, " "), "\n")
end
d:workflow("mail", function(ctx, who)
  return ctx:step("send", function() effect("mail", ctx.key) return "sent to " .. who end)
end)
d:workflow("order", function(ctx, order)
  local paid = ctx:step("pay", { retry = { attempts = 2, backoff = 0.01 } }, function()
    effect("pay", ctx.key)
    if ctx.attempt == 1 then error "the bank is away" end
    return order.total
  end)
  local left = ctx:transaction("take", { retry = { attempts = 9, backoff = 0.01 } }, function(tx)
    assert(tx:execute "UPDATE stock SET count = count - 1")
    return (assert(tx:value "SELECT count FROM stock"))
  end)
  local called, _, code = ctx:step("call", { at_most_once = true }, function()
    effect("call", ctx.key)
    return "called"
  end)
  ctx:sleep("pause", 0.01)
  local parcels = ctx:map("parcels", { "a", "b" }, function(branch, name)
    return branch:step("pack", function() effect("pack" .. name, branch.key) return name end)
  end)
  local first = ctx:race {
    function(branch) branch:sleep("long", 100) end,
    function(branch) return branch:step("quick", function() effect("quick", branch.key) return 1 end) end,
  }
  local note = ctx:receive("note", 60)
  local go = ctx:await "go"
  local mail = ctx:child("mail", "you")
  return paid, left, called or code, parcels[1] .. parcels[2], first, note, go, mail, ctx:uuid()
end)
repeat until d.db:execute "UPDATE moonlet_workers SET expires = 0" -- those that have ended
repeat until d.db:execute "CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, count INTEGER)"
repeat until d.db:execute "INSERT INTO stock VALUES (1, 10) ON CONFLICT DO NOTHING"
local run
repeat run = d:start("order", { total = 99 }, { id = "o" }) until run
repeat
  local is_sent, message, code = d.db:value "SELECT count(*) FROM moonlet_messages"
  if is_sent == 0 then is_sent, message, code = d:send("o", "note", "hello") end
  if code == "CLOSED" then break end
until is_sent
repeat
  local ok, message, code = d:emit("go", "went")
until ok or code == "EEXIST"
local serving = task.spawn({ daemon = true }, d.serve, d)
print("result", run:result(100))
d:stop(0)
serving:join()
]]

--- Places the order, or goes on with it, in a process of its own. Other tasks run meanwhile.
-- @tparam table where address, log
-- @tparam[opt] table environment more variables: MOONLET_CRASH_AT
-- @treturn string what it printed
-- @treturn integer exit status
function ledger.order(where, environment)
  local command, script = support.command(ORDER)
  local changes = { ADDRESS = where.address, LOG = where.log }
  for name, value in pairs(environment or {}) do changes[name] = tostring(value) end
  local result = assert(process.run { "sh", "-c", "exec " .. command, env = process.env(changes), stderr = "stdout",
    timeout = support.patience })
  os.remove(script)
  return result.stdout, result.status
end

-- How often each effect is in the file. The key of a step never changes.
local function effects(where)
  local counts, keys = {}, {}
  for name, key in (support.read_file(where.log) or ""):gmatch "(%S+) (%S+)\n" do
    counts[name] = (counts[name] or 0) + 1
    assert(keys[name] == nil or keys[name] == key, "the key of a step has changed")
    keys[name] = key
  end
  return counts
end

-- How often each effect happens if nothing ends.
local ONCE = { pay = 2, call = 1, packa = 1, packb = 1, quick = 1, mail = 1 }

--- Compares a finished order with what is promised.
-- @tparam table where
-- @tparam string output what the last process printed
-- @tparam integer ends how many processes have ended in between: each may have run a step again, or two branches one
-- each
function ledger.check(where, output, ends)
  local function hold(condition, what)
    if not condition then error(("%s: %s: %s"):format(where.name, what, output), 2) end
  end
  local paid, left, called, parcels, first, note, go, mail = output:match(
    "result\t(%S+)\t(%S+)\t(%S+)\t(%S+)\t(%S+)\t(%S+)\t(%S+)\t([^\t]+)\t%x+")
  hold(paid == "99" and left == "9" and parcels == "ab" and first == "2", "results of steps")
  hold(note == "hello" and go == "went" and mail == "sent to you", "results of waits")
  local counts, excess = effects(where), 0
  for name, count in pairs(ONCE) do
    if name ~= "call" then
      hold((counts[name] or 0) >= count, name .. " too seldom")
      hold(counts[name] <= count + ends, name .. " too often")
      excess = excess + counts[name] - count
    end
  end
  hold(excess <= 2 * ends, "steps ran again that were remembered")
  hold(called == "called" or (called == "EINTERRUPTED" and ends > 0), "the call's result")
  hold((counts.call or 0) <= 1 and (called ~= "called" or counts.call == 1), "the call, which is made at most once")
  local d <close> = assert(durable.open(where.direct or where.address))
  hold(d.db:value "SELECT count FROM stock" == 9, "the transaction, which happens exactly once")
  local runs = assert(d:list())
  hold(#runs == 2, "two runs")
  for _, run in ipairs(runs) do hold(run.status == "done", "the end of " .. run.id) end
end

-- One order whose process ends at its write k, and one that goes on. Whether it ended there.
local function end_and_go_on(where, environment)
  local output, status = ledger.order(where, environment)
  local ends = status == 137 and 1 or 0
  if status == 137 then output, status = ledger.order(where) end
  if status ~= 0 then error(("%s: %s"):format(where.name, output), 0) end
  ledger.check(where, output, ends)
  return ends == 1
end

--- Ends the process of an order at its write k and has another go on, for all k, until none is so high.
-- @tparam function place place(name, fn): calls fn(where) with a new database
-- @tparam string name of the proof
-- @tparam function environment environment(where, k): variables that end it there
function ledger.check_all(place, name, environment)
  local is_over, most, k = false, 0, 0
  task.group({ limit = ledger.AT_ONCE }, function(group)
    while not is_over do
      k = k + ledger.STRIDE
      local at = k
      group:spawn(function()
        place(("%s=%d"):format(name, at), function(where)
          if end_and_go_on(where, environment(where, at)) then most = math.max(most, at) else is_over = true end
        end)
      end)
      task.yield()
    end
  end)
  assert(most > 20, most)
end

return ledger
