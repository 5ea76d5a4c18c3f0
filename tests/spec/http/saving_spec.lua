-- Bodies that are saved to files: disks hold up the task that saves, and no other.
local files = require "moonlet.http.files.core"
local saving = require "moonlet.http.saving"
local support = dofile "tests/spec/support.lua"
local task = require "moonlet.task"

local it = support.limited(it)

describe("a body that is saved to a file", function()
  local directory

  before_each(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory))
  end)
  after_each(function() os.execute("rm -rf " .. directory) end)

  local function names()
    local pipe <close> = assert(io.popen("ls -A " .. directory))
    return pipe:read "a"
  end

  -- Whether another task ran while fn did.
  local function lets_others_run(fn, ...)
    local ran = false
    local other = task.spawn(function() ran = true end)
    local results = table.pack(fn(...))
    local seen = ran
    other:join()
    return seen, table.unpack(results, 1, results.n)
  end

  local function pieces(...)
    local list, at = { ... }, 0
    return function()
      at = at + 1
      local piece = list[at]
      if type(piece) == "function" then return piece() end
      return piece
    end
  end

  it("lets other tasks run while the disk makes, writes, names and removes the file", function()
    local ran, file = lets_others_run(files.create, directory .. "/a")
    assert.is_true(ran)
    assert.is_true((lets_others_run(file.write, file, "text")))
    assert.is_true((lets_others_run(file.commit, file)))
    assert.equal("text", support.read_file(directory .. "/a"))
    file = assert(files.create(directory .. "/b"))
    assert.is_true((lets_others_run(file.close, file)))
    assert.equal("a\n", names())
  end)

  it("is whole, whatever the sizes of the pieces", function()
    for _, size in ipairs { 1, 1000, 65536, 131071, 131072, 131073, 400000 } do
      local body, at = ("0123456789abcdef"):rep(25000), 0
      local got = saving.save(directory .. "/a", nil, function()
        local piece = body:sub(at + 1, at + math.max(size, 100))
        at = at + #piece
        return piece ~= "" and piece or nil
      end)
      assert.equal(#body, got)
      assert.equal(body, support.read_file(directory .. "/a"))
    end
    assert.equal(0, saving.save(directory .. "/none", nil, pieces()))
    assert.equal("", support.read_file(directory .. "/none"))
  end)

  it("may have as many bytes as allowed, and no more", function()
    assert.equal(6, saving.save(directory .. "/a", 6, pieces("abc", "def")))
    local size, _, code = saving.save(directory .. "/a", 5, pieces("xyz", "xyz"))
    assert.is_nil(size)
    assert.equal("EMSGSIZE", code)
    assert.equal("abcdef", support.read_file(directory .. "/a"))
    assert.equal("a\n", names())
  end)

  it("is not there if its source fails or raises", function()
    local size, message, code = saving.save(directory .. "/a", nil,
      pieces("abc", function() return nil, "cut", "EEOF" end))
    assert.is_nil(size)
    assert.equal("cut", message)
    assert.equal("EEOF", code)
    assert.is_false((pcall(saving.save, directory .. "/a", nil, pieces("abc", function() error "no" end))))
    assert.equal("", names())
  end)

  it("leaves nothing behind when the task is cancelled, at whichever wait", function()
    for moment = 0, 8 do
      local block = ("x"):rep(200000)
      local saver = task.spawn(saving.save, directory .. "/a", nil,
        pieces(block, block, function() task.sleep(3600) end))
      for _ = 1, moment do task.yield() end
      if moment == 8 then task.sleep(.05) end
      saver:cancel()
      pcall(saver.join, saver)
      assert.equal("", names())
    end
  end)

  it("says that a file is closed", function()
    local file = assert(files.create(directory .. "/a"))
    assert(file:commit())
    file:close()
    assert.error_matches(function() file:write "x" end, "the file is closed")
    assert.error_matches(function() file:commit() end, "the file is closed")
    assert.equal("a\n", names())
  end)
end)
