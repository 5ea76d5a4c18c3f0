--- A process that ends at any of its writes: the next one goes on, and every effect is there as often as promised.

local support = dofile "tests/spec/support.lua"
local own = dofile "tests/spec/durable_support.lua"
local durable = require "moonlet.durable"

-- An order with one effect of each kind. Effects outside of the database are lines of a file.
local ORDER = [[
local durable = require "moonlet.durable"
local task = require "moonlet.task"
local path = "%s"
local d = assert(durable.open(path, { lease = 0.4, recoveries = 1000 }))
local function effect(...)
  local file <close> = assert(io.open(path .. ".log", "a"))
  file:write(table.concat({ ... }, " "), "\n")
end
d:workflow("mail", function(ctx, who)
  return ctx:step("send", function() effect("mail", ctx.key, who) return "sent to " .. who end)
end)
d:workflow("order", function(ctx, order)
  local paid = ctx:step("pay", { retry = { attempts = 2, backoff = 0.01 } }, function()
    effect("pay", ctx.key)
    if ctx.attempt == 1 then error "the bank is away" end
    return order.total
  end)
  local left = ctx:transaction("take", function(tx)
    tx:execute("UPDATE stock SET count = count - 1")
    return tx:value "SELECT count FROM stock"
  end)
  local called, message, code = ctx:step("call", { at_most_once = true }, function()
    effect("call", ctx.key)
    return "called"
  end)
  ctx:sleep("pause", 0.01)
  local parcels = ctx:map("parcels", { "a", "b" }, function(branch, name)
    return branch:step("pack", function() effect("pack", branch.key, name) return name end)
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
assert(d.db:execute("CREATE TABLE IF NOT EXISTS stock (count INTEGER)"))
d.db:execute("INSERT INTO stock SELECT 10 WHERE NOT EXISTS (SELECT 1 FROM stock)")
local run = assert(d:start("order", { total = 99 }, { id = "o" }))
if not d.db:value "SELECT 1 FROM moonlet_messages" then d:send("o", "note", "hello") end
d:emit("go", "went")
local serving = task.spawn({ daemon = true }, d.serve, d)
print("result", run:result(100))
d:stop(0)
serving:join()
]]

local function order(path, environment)
  local command, script = support.command(ORDER:format(path))
  local output, status = support.shell(environment .. " " .. command)
  os.remove(script)
  return output, status
end

-- How often each effect is in the file, and whether its keys are the same.
local function effects(path)
  local counts, keys = {}, {}
  for what, key, rest in (support.read_file(path .. ".log") or ""):gmatch "(%S+) (%S+) ?([^\n]*)\n" do
    local name = what .. (what == "pack" and rest or "")
    counts[name] = (counts[name] or 0) + 1
    assert(keys[name] == nil or keys[name] == key, "the key of a step has changed")
    keys[name] = key
  end
  return counts
end

local function check(path, output, at)
  local where = at .. ": " .. output
  local paid, left, called, parcels, first, note, go, mail = output:match(
    "result\t(%S+)\t(%S+)\t(%S+)\t(%S+)\t(%S+)\t(%S+)\t(%S+)\t([^\t]+)\t%x+")
  assert(paid == "99" and left == "9" and parcels == "ab" and first == "2", where)
  assert(note == "hello" and go == "went" and mail == "sent to you", where)
  local counts = effects(path)
  assert(counts.pay >= 2 and counts.packa >= 1 and counts.packb >= 1 and counts.mail >= 1, where)
  if called == "EINTERRUPTED" then assert((counts.call or 0) <= 1, where) else
    assert(called == "called" and counts.call == 1, where)
  end
  local d <close> = assert(durable.open(path))
  assert(d.db:value "SELECT count FROM stock" == 9, where)
  for _, run in ipairs(d:list()) do assert(run.status == "done", where) end
  for _, name in ipairs { "pay", "packa", "packb", "mail", "quick" } do
    assert(counts[name] <= (name == "pay" and 3 or 2), where .. name .. counts[name])
  end
end

describe("a run", function()
  for _, variable in ipairs { "MOONLET_CRASH_AT", "MOONLET_CRASH_AFTER" } do
    it("survives the end of its process at every write: " .. variable, function()
      local status
      local stride = os.getenv("MOONLET"):find "hostile" and 3 or 1 -- all take a minute; the other builds try them
      local k = 0
      repeat
        k = k + stride
        local path <close> = own.path()
        local output
        output, status = order(path.path, ("%s=%d"):format(variable, k))
        if status ~= 0 then
          assert(status == 137, output)
          output, status = order(path.path, "")
          assert(status == 0, output)
          status = 137
        end
        check(path.path, output, k)
      until status == 0
      assert(k > 20)
    end)
  end

  it("survives being ended again and again, at the next write each time", function()
    local path <close> = own.path()
    local output, status
    local k = 0
    repeat
      k = k + 1
      output, status = order(path.path, "MOONLET_CRASH_AFTER=" .. 5 + k % 3)
      assert(status == 0 or status == 137, output)
    until status == 0 or k > 60
    assert(status == 0, output)
    local d <close> = assert(durable.open(path.path))
    assert.equal(9, d.db:value "SELECT count FROM stock")
    assert.is_true((effects(path.path).call or 0) <= 1)
  end)
end)
