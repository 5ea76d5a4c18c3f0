-- Orders that survive crashes: payment, stock, parcels and mail, with failures on purpose.
--
--     moonlet scripts/order_workflow.lua DATABASE [-n COUNT] [-f PERCENT] [-s SECONDS] [-l LEASE]
--         [-o FILES]
--
-- Places COUNT (10) orders and carries them out; PERCENT (20) of the calls of the "bank" and the
-- "mail server" fail; packing takes SECONDS (0.05). Kill it whenever you like (kill -9) and start
-- it again, also twice at a time: each order is paid, packed and told of as promised, and the books
-- agree at the end. To see orders move from one process to another, run it with `-s 3` in two
-- terminals and kill the one: after LEASE (2) seconds the other goes on with its orders, and each
-- line tells by which processes the order was paid, taken, packed and told of.
--
-- DATABASE is a file, or postgres://USER@HOST/NAME. The bank and the mail server are FILES.bank and
-- FILES.mail (beside DATABASE, or "orders"), which drop what they have seen, as real ones do with a
-- key for idempotent calls. The stock is a table of DATABASE: ctx:transaction.
local durable = require "moonlet.durable"
local fs = require "moonlet.fs"
local task = require "moonlet.task"

local path
local options = { n = 10, f = 20, s = 0.05, l = 2 }
local i = 1
while arg[i] do
  local name = arg[i]:match "^%-([nfslo])$"
  if name then
    options[name], i = name == "o" and arg[i + 1] or tonumber(arg[i + 1]), i + 1
  else
    path = arg[i]
  end
  i = i + 1
end
local count, percent, files = options.n, options.f, options.o
if not (path and count and percent and options.s and options.l) then
  io.stderr:write("usage: moonlet order_workflow.lua DATABASE [-n COUNT] [-f PERCENT]",
    " [-s SECONDS] [-l LEASE] [-o FILES]\n")
  os.exit(1)
end
files = files or (path:find "^postgres" and "orders" or path)
local me = fs.readlink "/proc/self" -- this process

-- A service that is reached over a network: it may fail before, or after it has done its work.
local function call_service(name, key, text)
  if math.random(100) <= percent then return nil, name .. " is away", "EAWAY" end
  local file <close> = assert(io.open(files .. "." .. name, "a"))
  file:write(key, "\t", text, "\n")
  if math.random(100) <= percent then error("the answer of " .. name .. " was lost", 0) end
  return me
end

local RETRY = { attempts = 20, backoff = { 0.01, 0.2 } }

local d = assert(durable.open(path, { lease = options.l, recoveries = 10000 }))

-- Both engines take `$1` for the first parameter. Two processes that make the tables at the same
-- time may disturb each other in PostgreSQL: then they are there.
local TABLES = [[
  CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, count INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS taken (order_id TEXT PRIMARY KEY, item TEXT, count INTEGER);
]]
if not d.db:script(TABLES) then assert(d.db:script(TABLES)) end

d:workflow("order", { timeout = 3600, retry = RETRY }, function(ctx, order)
  local payer = ctx:step("pay", function()
    return call_service("bank", ctx.key, ("pay %d"):format(order.total))
  end)
  -- If the order is cancelled from here on, the money goes back.
  ctx:cleanup(function(undo)
    undo:step("refund", function()
      return call_service("bank", undo.key, ("refund %d"):format(order.total))
    end)
  end)
  local left, taker = ctx:transaction("take from stock", function(tx)
    assert(tx:execute("INSERT INTO taken VALUES ($1, $2, $3)", ctx.id, order.item, order.count))
    assert(tx:execute("UPDATE stock SET count = count - $1 WHERE item = $2", order.count,
      order.item))
    return assert(tx:value("SELECT count FROM stock WHERE item = $1", order.item)), me
  end)
  local parcels = ctx:map("parcels", order.parcels, function(branch, size)
    branch:sleep("packing", options.s)
    return branch:step("label", function() return ("%s of %s"):format(size, order.item) end)
  end)
  local teller = ctx:step("mail", function()
    return call_service("mail", ctx.key, ("%d parcels are on their way"):format(parcels.n))
  end)
  return { left = left, parcels = parcels.n, by = { payer, taker, teller } }
end)

assert(d.db:execute "INSERT INTO stock VALUES ('book', 1000) ON CONFLICT DO NOTHING")
local runs = {}
for n = 1, count do
  runs[n] = assert(d:start("order",
    { item = "book", count = 2, total = 30 + n, parcels = { "half", "half" } },
    { id = "order-" .. n }))
end
local serving = task.spawn({ daemon = true }, d.serve, d)
for n = 1, count do
  local result, message = runs[n]:result()
  print(runs[n].id, result and ("%d parcels, by processes %s"):format(result.parcels,
    table.concat(result.by, ", ")) or "failed: " .. tostring(message))
end
d:stop()
serving:join()

local done = d.db:value "SELECT count(*) FROM moonlet_runs WHERE status = 'done'"
local taken = d.db:value "SELECT sum(count) FROM taken"
local left = d.db:value "SELECT count FROM stock WHERE item = 'book'"
print(("%d orders done, %d taken, %d left: %s"):format(done, taken, left,
  taken + left == 1000 and taken == 2 * done and "the books agree" or "THE BOOKS DO NOT AGREE"))
d:close()
