--- What has broken other engines of durable work and job queues, by their lists of bugs: the same on both databases.

local durable = require "moonlet.durable"
local own = dofile "tests/spec/durable_support.lua"
local support = dofile "tests/spec/support.lua"

-- Serves workflows; calls fn(d).
local function with(place, workflows, fn)
  local path <close> = place()
  local served <close> = own.serve(path.path, function(d)
    for name, workflow in pairs(workflows) do d:workflow(name, { retry = false }, workflow) end
  end)
  fn(served.d)
end

own.on_both(_ENV, "a run", function(place)
  -- Its end could not be written, and it stayed "running" until its worker ended.
  it("fails with errors that no column can hold: zero bytes, no UTF-8, too large, without a text", function()
    local silent = setmetatable({}, { __tostring = function() error "no" end })
    local errors = { zero = "a\0b", binary = "caf\233 \255", large = ("x"):rep(3 << 20), silent = silent }
    local workflows = {
      raises = function(_, name) error(errors[name], 0) end,
      returns = function(ctx, name)
        return ctx:step("s", function() return nil, errors[name], name == "silent" and "E" or errors[name] end)
      end,
    }
    with(place, workflows, function(d)
      for name, value in pairs(errors) do
        for workflow in pairs(workflows) do
          local _, message, code = assert(d:start(workflow, name)):result(support.patience)
          assert.not_equal("ETIMEDOUT", code)
          if name == "zero" or name == "binary" then assert.equal(value, message) end
          assert(#message < 10000)
        end
      end
      local shown = {}
      for i, row in ipairs(assert(d:list { status = "failed" })) do
        assert(utf8.len(row.message) and not row.message:find "%z")
        shown[i] = row.message
      end
      assert.equal(8, #shown)
      assert.matches("caf\\xe9 \\xff", table.concat(shown, "\n"), 1, true)
    end)
  end)

  -- A value that the database refuses for good, for whatever reason.
  it("whose end the database refuses fails, and is not claimed for ever", function()
    with(place, { w = function() return "refused" end }, function(d)
      local value = "no row with this end"
      assert(d.db:execute "DROP TABLE IF EXISTS refused")
      if d.engine.name == "sqlite" then
        assert(d.db:script [[CREATE TRIGGER refuse BEFORE UPDATE OF output ON moonlet_runs
          WHEN new.status = 'done' BEGIN SELECT RAISE(ABORT, 'no row with this end'); END]])
      else
        assert(d.db:script [[CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE EXCEPTION 'no row with this end' USING ERRCODE = '23514'; END $$;
          CREATE TRIGGER refuse BEFORE UPDATE OF output ON moonlet_runs FOR EACH ROW
          WHEN (new.status = 'done') EXECUTE FUNCTION refuse()]])
      end
      local run = assert(d:start "w")
      local _, message, code = run:result(support.patience)
      assert.equal("EREFUSED", code)
      assert.matches(value, message.message, 1, true)
      assert.equal(0, d.worker.count)
    end)
  end)
end)
