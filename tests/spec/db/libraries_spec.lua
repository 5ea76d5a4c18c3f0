-- The libraries of databases are loaded when a database is first opened, and not before.
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local PROGRAM = [[
  local function has(name)
    local file <close> = assert(io.open "/proc/self/maps")
    return file:read "a":find(name, 1, true) ~= nil
  end
  local sqlite, postgres = require "moonlet.sqlite", require "moonlet.postgres"
  assert(require "moonlet.sql" and require "moonlet.durable")
  print(has "libsqlite3", has "libpq")
  local db <close> = assert(sqlite.open ":memory:")
  print(has "libsqlite3", has "libpq")
  local other <close> = assert(postgres.open "postgres://nobody@127.0.0.1:1/nothing")
  print(has "libsqlite3", has "libpq", (select(3, other:value "SELECT 1")))
]]

describe("libraries of databases", function()
  it("are loaded by the first open, each by its own", function()
    assert.equal("false\tfalse\ntrue\tfalse\ntrue\ttrue\t08001\n", (support.run(PROGRAM)))
  end)
end)
