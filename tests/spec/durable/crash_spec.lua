--- A process that ends at any of its writes: the next one goes on, and every effect is there as often as promised. On
-- PostgreSQL also a connection that is cut between any commit and its answer.

local ledger = dofile "tests/spec/durable/ledger.lua"
local net = require "moonlet.net"
local own = dofile "tests/spec/durable_support.lua"
local postgres = require "moonlet.postgres"
local postgres_server = dofile "tests/spec/postgres_server.lua"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local AT_ONCE, STRIDE = ledger.AT_ONCE, ledger.STRIDE

-- Ends the process before (AT) or behind (AFTER) each of its writes.
local function check_all_writes(variable, place)
  ledger.check_all(place, variable, function(_, k) return { [variable] = k } end)
end

-- Ends a process at its next writes, again and again. Returns how many have ended.
local function end_often(where)
  local ends = 0
  local output, status
  repeat
    output, status = ledger.order(where, { MOONLET_CRASH_AFTER = 5 + ends % 3 })
    assert(status == 0 or status == 137, output)
    if status == 137 then ends = ends + 1 end
  until status == 0 or ends > 60
  assert(status == 0, output)
  return ends, output
end

local function place_on_sqlite(name, fn)
  local path <close> = own.path()
  fn { name = name, address = path.path, log = path.path .. ".log" }
end

describe("a run on SQLite", function()
  for _, variable in ipairs { "MOONLET_CRASH_AT", "MOONLET_CRASH_AFTER" } do
    it("survives the end of its process at every write: " .. variable, function()
      check_all_writes(variable, place_on_sqlite)
    end)
  end

  it("survives being ended again and again, at the next write each time", function()
    place_on_sqlite("again and again", function(where)
      local ends, output = end_often(where)
      ledger.check(where, output, ends)
    end)
  end)
end)

local server, places = nil, 0

local function address_of(port, schema)
  return ("postgres://tester@127.0.0.1:%d/postgres?sslmode=disable&gssencmode=disable%s"):format(port,
    schema and "&options=-csearch_path%3D" .. schema or "")
end

local function place_on_postgres(name, fn)
  places = places + 1
  local where = { name = name, schema = "place" .. places, log = os.tmpname() }
  where.address = address_of(server.port, where.schema)
  do
    local db <close> = assert(postgres.open(address_of(server.port)))
    assert(db:execute("CREATE SCHEMA " .. where.schema))
  end
  fn(where)
  os.remove(where.log)
end

-- ---- a proxy that cuts connections ----

local function read_message(from)
  local kind = from:read_exactly(1)
  local size = kind and from:read_exactly(4)
  local count = size and (">I4"):unpack(size) - 4
  local body = size and (count == 0 and "" or from:read_exactly(count))
  return body and kind, body and kind .. size .. body, body
end

local WRITES = { INSERT = true, UPDATE = true, DELETE = true, COMMIT = true }

-- Passes on what the server says. The answer to the write of that number, counted over all connections, is kept back
-- up to its end, as the transaction is over by then, and the connection is cut.
local function pass_answers(there, conn, counter)
  local is_cut = false
  while true do
    local kind, message, body = read_message(there)
    if not kind or is_cut and kind == "Z" then return end
    if kind == "C" and WRITES[body:match "^%u+"] then
      counter.writes = counter.writes + 1
      is_cut = is_cut or counter.writes == counter.cut_at
    end
    if not is_cut and not conn:write(message) then return end
  end
end

local function cutting_proxy(counter)
  local listener = assert(net.listen("127.0.0.1", 0))
  task.spawn({ daemon = true }, listener.serve, listener, { on_error = function() end }, function(conn)
    local there <close> = assert(net.connect("127.0.0.1", server.port))
    local back = task.spawn({ quiet = true }, function()
      pass_answers(there, conn, counter)
      conn:close()
      there:close()
    end)
    pcall(function()
      for piece in conn:chunks() do
        if not there:write(piece) then break end
      end
    end)
    there:close()
    back:join()
  end)
  return setmetatable({ port = listener:address().port }, { __close = function() listener:stop(0) end })
end

describe("a run on PostgreSQL", function()
  setup(function()
    server = postgres_server.new()
    server:start(function()
      local db <close> = assert(postgres.open(address_of(server.port)))
      return db:value "SELECT 1"
    end)
  end)
  teardown(function() server:remove() end)

  for _, variable in ipairs { "MOONLET_CRASH_AT", "MOONLET_CRASH_AFTER" } do
    it("survives the end of its process at every write: " .. variable, function()
      check_all_writes(variable, place_on_postgres)
    end)
  end

  it("survives being ended again and again, at the next write each time", function()
    place_on_postgres("again and again", function(where)
      local ends, output = end_often(where)
      ledger.check(where, output, ends)
    end)
  end)

  it("has each effect once if the answer to any of its commits is lost", function()
    local is_over = false
    task.group({ limit = AT_ONCE }, function(group)
      local k = 0
      while not is_over do
        k = k + STRIDE
        local counter = { writes = 0, cut_at = k }
        group:spawn(function()
          place_on_postgres(("cut at %d"):format(counter.cut_at), function(where)
            local proxy <close> = cutting_proxy(counter)
            where.direct, where.address = where.address, address_of(proxy.port, where.schema)
            local output, status = ledger.order(where)
            if status ~= 0 then error(("%s: %s"):format(where.name, output), 0) end
            ledger.check(where, output, 0)
            is_over = is_over or counter.writes < counter.cut_at
          end)
        end)
        task.yield()
      end
    end)
  end)
end)
