-- redis-lua, which Debian has for Lua 5.1 to 5.3 and is pure Lua over LuaSocket, and a redis-server.

local support = dofile "tests/spec/support.lua"
local libraries = dofile "tests/spec/interpose/c_libraries.lua"
local programs = dofile "tests/spec/programs.lua"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local redis = libraries.need("redis", "lua-redis")

local SPAN = libraries.SPAN
local port, directory

local function connect()
  local client = redis.connect("127.0.0.1", port)
  return client, setmetatable({}, { __close = function() client.network.socket:close() end })
end

describe("redis-lua", function()
  setup(function()
    libraries.need_program("redis-server", "redis-server")
    directory = programs.open_directory()
    port = support.free_port()
    local server = programs.start(("redis-server --port %d --bind 127.0.0.1 --save '' --appendonly no --dir %s")
      :format(port, programs.quote(directory)))
    programs.eventually("redis-server", function()
      if server:status() then error("redis-server ended: " .. server:errors(), 0) end
      local conn <close> = net.connect("127.0.0.1", port)
      return conn ~= nil
    end)
  end)

  teardown(function()
    programs.stop_all()
    programs.remove_directory()
  end)

  it("waits for lists in twenty tasks at once", function()
    libraries.overlap(function(i)
      local client, closes <close> = connect()
      local pushing = task.spawn(function()
        task.sleep(SPAN)
        local other, closes_too <close> = connect()
        other:rpush("list" .. i, "item " .. i)
      end)
      assert.same({ "list" .. i, "item " .. i }, client:blpop("list" .. i, 30))
      support.finish(pushing)
    end)
  end)

  it("hands messages from tasks to a subscriber", function()
    local client, closes <close> = connect()
    local heard = {}
    local subscriber = task.spawn(function()
      for message, abort in client:pubsub { subscribe = { "news" } } do
        if message.kind == "message" then heard[#heard + 1] = message.payload end
        if #heard == 3 then abort() end
      end
    end)
    support.parked(subscriber)
    local other, closes_too <close> = connect()
    for i = 1, 3 do
      support.eventually(function() return other:publish("news", "number " .. i) == 1 end)
    end
    support.finish(subscriber)
    assert.same({ "number 1", "number 2", "number 3" }, heard)
  end)

  it("is cancelled while it waits; its connection closes afterwards", function()
    local client, closes <close> = connect()
    libraries.cancels(function() client:blpop("nothing", 30) end, collectgarbage)
  end)

  it("blocks every task, and does the same, with --no-interpose", function()
    libraries.blocks_without('local redis = require "redis"', [[
      local client = redis.connect("127.0.0.1", port)
      assert(client:echo("hello " .. i) == "hello " .. i)
      assert(client:blpop("nothing", 0.2) == nil)
    ]], port)
  end)
end)
