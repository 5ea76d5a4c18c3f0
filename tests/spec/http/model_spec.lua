-- Client and server of moonlet.http in one program, under the virtual clock: many tasks do what comes into their
-- heads, and are cancelled, or run out of time, anywhere. Whatever happened, no response is another's, what is whole
-- says so, and nothing is left over. The seed is in the name of a test; MOONLET_HTTP_SEEDS=n tries n of them.

local support = dofile "tests/spec/support.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.virtual(it)

local SEEDS = tonumber(os.getenv "MOONLET_HTTP_SEEDS" or "") or 4
local TASKS, CALLS = 12, 12

-- ---- random choices that a seed repeats ----

local function new_random(seed)
  local state = seed * 2654435761 % 2 ^ 32 | 0
  return function(n)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % n + 1
  end
end

-- ---- what is asked and answered ----

--- The body that belongs to a request's number: `size` bytes that no other one has.
local function content(id, size)
  local unit = ("<%d>"):format(id)
  return (unit:rep(size // #unit + 1)):sub(1, size)
end

local handlers = {}

function handlers.whole(_, id, size) return content(id, size) end

function handlers.json(_, id, size) return { id = id, text = content(id, size % 1000) } end

function handlers.late(_, id, size)
  task.sleep(id % 7 / 10)
  return content(id, size)
end

function handlers.streamed(_, id, size, res)
  local text = content(id, size)
  for at = 1, #text, 4001 do
    res:write(text:sub(at, at + 4000))
    if id % 3 == 0 then task.sleep(0.05) end
  end
end

function handlers.echo(req) return req:body() end

function handlers.passed_on(req, _, _, res)
  for piece in req:chunks() do res:write(piece) end
end

function handlers.unread(_, id) return content(id, 10) end

function handlers.broken(_, id, size, res)
  res:write(content(id, size))
  error({ broken = true }, 0)
end

local function handle(req, res)
  local kind, id, size = req.path:match "^/(%a+_?%a*)/(%d+)/(%d+)$"
  return handlers[kind](req, tonumber(id), tonumber(size), res)
end

-- ---- one call of a task ----

local KINDS = {
  "whole", "json", "late", "streamed", "echo", "passed_on", "unread", "broken", "whole", "late",
}
local UPLOADS = { echo = true, passed_on = true, unread = true }

--- A body in pieces that come slowly, for some.
local function upload(text, random)
  if random(3) == 1 then return text end
  local at, pause = 1, random(4) == 1
  return function()
    if at > #text then return nil end
    if pause then task.sleep(0.02) end
    local piece = text:sub(at, at + 2999)
    at = at + 3000
    return piece
  end
end

local function expected(kind, id, size)
  if kind == "unread" then return content(id, 10) end
  return content(id, size)
end

local whole -- responses that were checked in this run

local function check(kind, id, size, r)
  whole = whole + 1
  if r.status ~= 200 then
    assert.equal(500, r.status, kind)
    assert.equal("broken", kind)
  elseif kind == "json" then
    assert.same({ id = id, text = content(id, size % 1000) }, r:json())
  else
    assert.not_equal("broken", kind)
    assert.equal(expected(kind, id, size), r.body)
  end
end

-- What may come of a call that is not whole: time limits, cuts and a server's own reset.
local FAILURES = {
  ETIMEDOUT = true, EDEADLINE = true, EEOF = true, EPROTO = true, ECONNRESET = true, EPIPE = true, CLOSED = true,
}

local function read_part(client, opts, kind, id, size, random)
  local r <close>, message, code = client:stream(opts)
  if not r then
    assert.is_true(FAILURES[code], message)
    return
  end
  local got, most = {}, random(3)
  for piece in r:chunks() do
    got[#got + 1] = piece
    if #got >= most then break end
  end
  if r.status == 200 and kind ~= "json" then
    local text = table.concat(got)
    assert.equal(expected(kind, id, size):sub(1, #text), text)
  end
end

local function call(client, id, random)
  local kind, size = KINDS[random(#KINDS)], random(4) == 1 and random(200000) or random(3000)
  local opts = {
    url = ("http://example.test/%s/%d/%d"):format(kind, id, size),
    method = UPLOADS[kind] and "POST" or "GET",
    body = UPLOADS[kind] and upload(content(id, size), random) or nil,
    timeout = random(5) == 1 and random(20) / 100 or nil,
  }
  if random(4) == 1 then
    local _, err = pcall(read_part, client, opts, kind, id, size, random)
    if task.is_cancellation(err) then error(err, 0) end
    if type(err) == "table" and err.code then assert.is_true(FAILURES[err.code], err.message) end
    if type(err) == "string" then error(err, 0) end
    return
  end
  local r, message, code = client:request(opts)
  if r then check(kind, id, size, r) else assert.is_true(FAILURES[code], message) end
end

--- Runs a call in a task of its own, which is cancelled after some switches or some time.
local function call_and_cancel(client, id, random)
  local t = task.spawn({ quiet = true }, call, client, id, random)
  if random(2) == 1 then
    for _ = 1, random(60) do task.yield() end
  else
    task.sleep(random(50) / 200)
  end
  t:cancel()
  local ok, err, code = t:join()
  if not ok and code == "EFAILED" then error(err, 0) end
end

-- ---- the whole ----

local NETWORKS = { {}, { latency = 0.01 }, { chunk = 700 }, { latency = 0.003, chunk = 3000, capacity = 4096 } }

local function quiet() return 500, "broken\n" end

local function run(version, seed)
  whole = 0
  local network = NETWORKS[seed % #NETWORKS + 1]
  local server = http.server({ on_error = quiet }, handle)
  local servers = {}
  local client = http.client {
    version = version, pool = { per_host = 3 },
    connect = function()
      local near, far = net.memory_pair(network)
      servers[#servers + 1] = task.spawn({ quiet = true }, server.serve, server, far)
      return near
    end,
  }
  local tasks = {}
  for i = 1, TASKS do
    local own = new_random(seed * 1000 + i)
    tasks[i] = task.spawn({ quiet = true }, function()
      for k = 1, CALLS do
        local one = own(3) == 1 and call_and_cancel or call
        one(client, i * 100 + k, own)
        if own(4) == 1 then task.sleep(own(10) / 100) end
      end
    end)
  end
  for _, t in ipairs(tasks) do
    local ok, err = t:join()
    assert(ok, err)
  end
  assert.equal("<7><7><7>", assert(client:get "http://example.test/whole/7/9").body)
  task.sleep(5) -- what was cut off is told to the server
  local stats = client:stats()
  assert.equal(stats.open, stats.idle)
  assert.is_true(stats.open <= 3, stats.open)
  assert.equal(0, server:stats().in_flight)
  assert.is_true(whole > TASKS * CALLS / 4, whole)
  client:close()
  server:stop(1)
  for _, t in ipairs(servers) do t:join() end
  assert.equal(0, server:stats().open)
end

describe("tasks that do anything with a client and a server", function()
  for _, version in ipairs { "1.1", "2" } do
    for seed = 1, SEEDS do
      it(("leave nothing behind over HTTP/%s, seed %d"):format(version, seed), function() run(version, seed) end)
    end
  end
end)
