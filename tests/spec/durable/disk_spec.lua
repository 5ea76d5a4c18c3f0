--- Durable runs on SQLite whose file is busy, or whose disk is full or loses its power: they go on, and every effect
-- is there as often as promised.

local ledger = dofile "tests/spec/durable/ledger.lua"
local own = dofile "tests/spec/durable_support.lua"
local programs = dofile "tests/spec/programs.lua"
local sqlite = require "moonlet.sqlite"
local support = dofile "tests/spec/support.lua"

-- A library before all others. The sanitizer wants to be the first, unless it is told.
local function preload(name, more)
  more.LD_PRELOAD = os.getenv "MOONLET_TESTS" .. "/" .. name .. ".so"
  more.ASAN_OPTIONS = (os.getenv "ASAN_OPTIONS" or "") .. ":verify_asan_link_order=0"
  return more
end

describe("a run on a disk that loses its power", function()
  it("finds all that was acknowledged, whatever part of the rest has reached the disk", function()
    local function place(name, fn)
      local path <close> = own.path()
      fn { name = name, address = path.path, log = path.path .. ".log" }
    end
    ledger.check_all(place, "power is lost behind write", function(where, k)
      return preload("forgetful_disk", { MOONLET_CRASH_AFTER = k, FORGETFUL = where.address, FORGETFUL_SEED = k - 3 })
    end)
  end)
end)

-- Takes longer than the others' patience.
local LONG = [[WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 500000)
  SELECT count(*) FROM c]]

describe("a run whose database is locked by another program", function()
  it("waits, also for longer than SQLite does, and goes on", function()
    local path <close> = own.path()
    local served <close> = own.serve(path.path, function(d)
      d.db:execute "CREATE TABLE book (i INTEGER)"
      d:workflow("w", function(ctx, count)
        for i = 1, count do
          ctx:step("s", function() end)
          ctx:transaction("t", { retry = { attempts = 99, backoff = 0.05 } }, function(tx)
            return tx:execute("INSERT INTO book VALUES ($1)", i)
          end)
        end
      end)
    end, { db = { busy_timeout = 0.05 } })
    local d = served.d
    local run = assert(d:start("w", 20))
    local other <close> = assert(sqlite.open(path.path))
    for _ = 1, 3 do
      local held = 0
      repeat -- it is the turn of the others now and then
        other:transaction(function(tx)
          if not tx:execute "UPDATE moonlet_meta SET value = value" then return nil, "busy", "EBUSY" end
          held = held + 1
          tx:value(LONG)
        end)
      until held > 0
    end
    assert.is_nil(select(2, run:result(support.patience)))
    assert.equal(20, d.db:value "SELECT count(*) FROM book")
    assert.equal(20, d.db:value "SELECT count(DISTINCT i) FROM book")
  end)
end)

-- Fills the disk in the middle of a run, and makes room when the database has refused.
local FULL = [[
local place = %q
local refused = false
function warn(text) refused = refused or text:find "full" end
local durable = require "moonlet.durable"
local task = require "moonlet.task"
local d = assert(durable.open(place .. "/runs.db", { lease = 60 }))
d.db:execute "CREATE TABLE book (i INTEGER)"
local calls, ballast = 0, nil
d:workflow("w", function(ctx)
  for i = 1, 40 do
    ctx:step("s", function()
      calls = calls + 1
      if i == 10 then
        ballast = io.open(place .. "/ballast", "w")
        ballast:setvbuf "no"
        repeat until not ballast:write(("x"):rep(1024))
        ballast:close()
      end
      return ("r"):rep(2000)
    end)
    ctx:transaction("t", { retry = { attempts = 1000, backoff = 0.01, factor = 1 } }, function(tx)
      return tx:execute("INSERT INTO book VALUES ($1)", i)
    end)
  end
  return "end"
end)
local serving = task.spawn({ daemon = true }, d.serve, d)
local run = assert(d:start("w"))
repeat task.sleep(0.01) until refused
task.sleep(0.2)
os.remove(place .. "/ballast")
print("result", run:result(60), calls, d.db:value "SELECT count(*) FROM book",
  d.db:value "SELECT count(DISTINCT i) FROM book", d.db:value "PRAGMA quick_check")
d:stop(0)
serving:join()
]]

describe("a run on a full disk", function()
  it("waits until there is room, runs no step again, and loses nothing", function()
    local output, status = support.shell "unshare -rm true"
    if status ~= 0 then return pending("no namespaces here: " .. output) end
    local directory = programs.open_directory()
    local command, script = support.command(FULL:format(directory))
    output = support.shell(("unshare -rm sh -c 'mount -t tmpfs -o size=2m none %s && timeout 60 %s'"):format(directory,
      (command:gsub("'", "'\\''"))))
    os.remove(script)
    programs.remove_directory()
    assert.matches("result\tend\t40\t40\t40\tok", output, 1, true)
  end)
end)
