--- What the inspector of a worker tells of all workers.

local workers = dofile "tests/spec/worker/workers.lua"
local inspected = dofile "tests/spec/inspect_support.lua"
local http = require "moonlet.http"
local json = require "moonlet.json"
local net = require "moonlet.net"
local it = workers.support.limited(it)

describe("/workers", function()
  it("tells of each worker, and which of them this is", function()
    local program <close> = workers.start("serve()", { options = { "--inspect" } })
    program:await_ready()
    for _, w in ipairs(program:status().workers) do
      local path = program:await("inspector: unix:([^%s]*" .. w.pid .. "[^%s]*)")
      local client <close> = http.client { connect = function() return net.connect("unix:" .. path) end }
      local reply = workers.eventually(function()
        local reply = assert(client:get "http://inspected/workers")
        return reply.status == 200 and reply
      end)
      local answer = json.decode(reply.body)
      assert.equal(w.id, answer.id)
      assert.equal(2, #answer.status.workers)
      assert.equal("ready", answer.status.workers[1].state)
    end
    assert.equal(0, program:stop())
  end)

  it("is not there without workers", function()
    local program <close> = inspected.start "require('moonlet.task').sleep(1000)"
    local reply = workers.eventually(function()
      local reply = program:get "/workers"
      return reply.status ~= 504 and reply
    end)
    assert.equal(404, reply.status)
    assert.is_string(reply:json().error)
  end)
end)
