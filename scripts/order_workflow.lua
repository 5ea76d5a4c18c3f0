-- Orders that survive crashes: payment, stock, parcels and mail, with failures on purpose.
--
--     moonlet scripts/order_workflow.lua DATABASE [-n COUNT] [-f PERCENT]
--
-- Places COUNT (10) orders and carries them out; PERCENT (20) of the calls of the "bank" and the
-- "mail server" fail. Kill it whenever you like (kill -9) and start it again, also twice at a time:
-- each order is paid, packed and told of as promised, and the books agree at the end.
--
-- The bank and the mail server are files beside DATABASE, which drop what they have seen, as real
-- ones do with a key for idempotent calls. The stock is a table of DATABASE: ctx:transaction.
local durable = require "moonlet.durable"
local task = require "moonlet.task"

local path, count, percent = nil, 10, 20
local i = 1
while arg[i] do
  if arg[i] == "-n" then
    count, i = tonumber(arg[i + 1]), i + 1
  elseif arg[i] == "-f" then
    percent, i = tonumber(arg[i + 1]), i + 1
  else
    path = arg[i]
  end
  i = i + 1
end
if not (path and count and percent) then
  io.stderr:write "usage: moonlet order_workflow.lua DATABASE [-n COUNT] [-f PERCENT]\n"
  os.exit(1)
end

-- A service that is reached over a network: it may fail before, or after it has done its work.
local function call_service(name, key, text)
  if math.random(100) <= percent then return nil, name .. " is away", "EAWAY" end
  local file <close> = assert(io.open(path .. "." .. name, "a"))
  file:write(key, "\t", text, "\n")
  if math.random(100) <= percent then error("the answer of " .. name .. " was lost", 0) end
  return key
end

local RETRY = { attempts = 20, backoff = { 0.01, 0.2 } }

local d = assert(durable.open(path, { lease = 2 }))
assert(d.db:script [[
  CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, count INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS taken (order_id TEXT PRIMARY KEY, item TEXT, count INTEGER);
]])

d:workflow("order", { timeout = 3600 }, function(ctx, order)
  local payment = ctx:step("pay", { retry = RETRY }, function()
    return call_service("bank", ctx.key, ("pay %d"):format(order.total))
  end)
  -- If the order is cancelled from here on, the money goes back.
  ctx:cleanup(function(undo)
    undo:step("refund", { retry = RETRY }, function()
      return call_service("bank", undo.key, ("refund %d"):format(order.total))
    end)
  end)
  local left = ctx:transaction("take from stock", function(tx)
    tx:execute("INSERT INTO taken VALUES (?, ?, ?)", ctx.id, order.item, order.count)
    tx:execute("UPDATE stock SET count = count - ? WHERE item = ?", order.count, order.item)
    return tx:value("SELECT count FROM stock WHERE item = ?", order.item)
  end)
  local parcels = ctx:map("parcels", order.parcels, function(branch, size)
    branch:sleep("packing", 0.05)
    return branch:step("label", function() return ("%s of %s"):format(size, order.item) end)
  end)
  ctx:step("mail", { retry = RETRY }, function()
    return call_service("mail", ctx.key, ("%d parcels are on their way"):format(parcels.n))
  end)
  return { payment = payment, left = left, parcels = parcels.n }
end)

d.db:execute "INSERT INTO stock VALUES ('book', 1000) ON CONFLICT DO NOTHING"
local runs = {}
for n = 1, count do
  runs[n] = assert(d:start("order",
    { item = "book", count = 2, total = 30 + n, parcels = { "half", "half" } },
    { id = "order-" .. n }))
end
local serving = task.spawn({ daemon = true }, d.serve, d)
for n = 1, count do
  local result, message = runs[n]:result()
  print(runs[n].id, result and result.parcels .. " parcels" or "failed: " .. tostring(message))
end
d:stop()
serving:join()

local done = d.db:value "SELECT count(*) FROM moonlet_runs WHERE status = 'done'"
local taken = d.db:value "SELECT sum(count) FROM taken"
local left = d.db:value "SELECT count FROM stock WHERE item = 'book'"
print(("%d orders done, %d taken, %d left: %s"):format(done, taken, left,
  taken + left == 1000 and taken == 2 * done and "the books agree" or "THE BOOKS DO NOT AGREE"))
d:close()
