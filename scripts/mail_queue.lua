-- A queue of mails in a database: limits, retries, dead letters.
--
--     moonlet scripts/mail_queue.lua DATABASE send ADDRESS TEXT
--     moonlet scripts/mail_queue.lua DATABASE work [-1]
--
-- "send" writes a mail down and returns. "work" delivers, at most 5 at a time, 2 for one domain and
-- 20 a second; -1: until the queue is empty. A mail that cannot be delivered is tried again after
-- longer and longer pauses, and kept as "failed" at last:
--
--     moonlet --durable DATABASE ls failed
--     moonlet --durable DATABASE retry ID
--
-- Here delivering is writing a line to standard output; an address at "example.invalid" fails.
local durable = require "moonlet.durable"
local task = require "moonlet.task"

local path, command = arg[1], arg[2]

local function deliver(mail, key)
  if mail.to:find "@example%.invalid$" then return nil, "no such domain", "ENOTFOUND" end
  print(("to %s: %s"):format(mail.to, mail.text), key)
  return true
end

local function open()
  local d = assert(durable.open(path))
  d:queue("mail", { concurrency = 5, per_key = 2, rate = { 20, 1 } })
  d:workflow("mail", function(ctx, mail)
    return ctx:step("deliver", { timeout = 30, retry = { attempts = 3, backoff = { 0.05, 1 } } },
      function() return deliver(mail, ctx.key) end)
  end)
  return d
end

local function is_empty(d)
  return #d:list { queue = "mail", status = "queued", limit = 1 } == 0
    and #d:list { queue = "mail", status = "running", limit = 1 } == 0
end

if command == "send" and arg[4] then
  local d <close> = open()
  local domain = arg[3]:match "@(.+)$"
  local run = assert(d:start("mail", { to = arg[3], text = arg[4] },
    { queue = "mail", key = domain }))
  print(run.id)
elseif command == "work" then
  local d <close> = open()
  local serving = task.spawn(d.serve, d, { queues = { "mail" } })
  if arg[3] == "-1" then
    while not is_empty(d) do task.sleep(0.05) end
    d:stop(60)
  end
  serving:join()
else
  io.stderr:write "usage: moonlet mail_queue.lua DATABASE send ADDRESS TEXT | work [-1]\n"
  os.exit(1)
end
