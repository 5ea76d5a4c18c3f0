--- scripts/order_workflow.lua in two processes that are killed at random moments and started again, on both engines:
-- every effect is there as often as promised. MOONLET_SOAK=1: a thousand kills on each.

local postgres = require "moonlet.postgres"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local process = require "moonlet.process"
local programs = dofile "tests/spec/programs.lua"
local sqlite = require "moonlet.sqlite"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local KILLS = os.getenv "MOONLET_SOAK" and 1000 or 8

local ORDERS, LEASE = 6, 0.5

-- How long the books of a round may take after the last kill, in seconds.
local PATIENCE = 120

local program, script = assert(os.getenv "MOONLET"), programs.scripts .. "order_workflow.lua"

local function start(where)
  return assert(process.spawn { program, "--slow", "0", script, where.address, "-n", tostring(ORDERS), "-l",
    tostring(LEASE), "-o", where.files, "-s", "0.02", stdout = "pipe", stderr = "stdout" })
end

-- Kills a process after so many seconds. Whether it was killed; or what it printed up to its end.
local function kill_after(child, seconds)
  task.sleep(seconds)
  child:kill "KILL"
  local output = child.stdout:read_all()
  local status = assert(child:wait(PATIENCE))
  child:close()
  if status.signal == "KILL" then return true end
  assert(status.status == 0, output)
  return false, output
end

-- Runs to its end.
local function finish(where)
  local child <close> = start(where)
  local output = task.timeout(PATIENCE, child.stdout.read_all, child.stdout)
  local status = assert(child:wait(PATIENCE))
  assert(status.status == 0, output)
  return output
end

-- Lines of a service by their keys.
local function read_service(path)
  local counts = {}
  for key, what in (support.read_file(path) or ""):gmatch "([^\t\n]+)\t(%w+)[^\n]*\n" do
    counts[key] = (counts[key] or 0) + 1
    assert(what == "pay" or key:find ":mail$", key .. " " .. what)
  end
  return counts
end

-- Each service was called for each order, with one key. A call is repeated only after a failure, which is remembered
-- as an attempt, or after the end of a worker, which raises the epoch.
local function check_service(where, step, counts)
  local db <close> = where.open()
  local orders = 0
  for key, count in pairs(counts) do
    local id = key:match("^(order%-%d+):" .. step .. "$")
    assert(id, "an unknown key: " .. key)
    local row = assert(db:row("SELECT r.epoch, s.attempt, s.state FROM moonlet_runs r JOIN moonlet_steps s"
      .. " ON s.run = r.id WHERE r.id = $1 AND s.key = $2", id, step))
    assert.equal("done", row.state)
    assert(count <= row.attempt + row.epoch - 1, ("%s: %d calls, %d attempts, %d claims"):format(key, count,
      row.attempt, row.epoch))
    orders = orders + 1
  end
  assert.equal(ORDERS, orders)
end

local function check_books(where, output)
  assert.matches(("%d orders done, %d taken, %d left: the books agree"):format(ORDERS, 2 * ORDERS, 1000 - 2 * ORDERS),
    output, 1, true)
  check_service(where, "pay", read_service(where.files .. ".bank"))
  check_service(where, "mail", read_service(where.files .. ".mail"))
  local db <close> = where.open()
  assert.equal(ORDERS, db:value "SELECT count(*) FROM taken WHERE count = 2")
  assert.equal(0, db:value "SELECT count(*) FROM moonlet_runs WHERE status <> 'done'")
  assert.equal(2 * ORDERS, db:value "SELECT count(*) FROM moonlet_steps WHERE key LIKE 'parcels[%]/label'")
  return db:value "SELECT sum(epoch - 1) FROM moonlet_runs"
end

-- One process of two that are killed and started again, until all orders are done. Returns how many were killed.
local function kill_often(where)
  local kills = 0
  repeat
    local was_killed = kill_after(start(where), math.random() ^ 2)
    if was_killed then kills = kills + 1 end
  until not was_killed
  return kills
end

-- Places orders and kills. Returns how many processes were killed, and how often an order has moved.
local function round(where)
  local kills = task.all { function() return kill_often(where) end, function() return kill_often(where) end }
  local moves = check_books(where, finish(where))
  return kills[1] + kills[2], moves
end

local function rounds(place)
  local seed = os.time()
  math.randomseed(seed)
  print("seed", seed)
  local kills, moves, number = 0, 0, 0
  repeat
    number = number + 1
    local killed, moved = place(number, round)
    kills, moves = kills + killed, moves + moved
  until kills >= KILLS and moves > 0
  print(("%d processes killed in %d rounds; orders moved %d times"):format(kills, number, moves))
end

describe("scripts/order_workflow.lua, killed at random,", function()
  local directory, server

  setup(function()
    server = postgres_server.new()
    directory = server.directory
    server:start(function()
      local db <close> = assert(postgres.open(("postgres://tester@127.0.0.1:%d/postgres"):format(server.port)))
      return db:value "SELECT 1"
    end)
  end)
  teardown(function() server:remove() end)

  it("has every effect as promised on SQLite", function()
    rounds(function(number, fn)
      local path = ("%s/orders%d.db"):format(directory, number)
      return fn { address = path, files = path, open = function() return assert(sqlite.open(path)) end }
    end)
  end)

  it("has every effect as promised on PostgreSQL", function()
    rounds(function(number, fn)
      local address = ("postgres://tester@127.0.0.1:%d/postgres"):format(server.port)
      local schema = "orders" .. number
      do
        local db <close> = assert(postgres.open(address))
        assert(db:execute("CREATE SCHEMA " .. schema))
      end
      address = address .. "?options=-csearch_path%3D" .. schema
      return fn { address = address, files = directory .. "/" .. schema,
        open = function() return assert(postgres.open(address)) end }
    end)
  end)
end)
