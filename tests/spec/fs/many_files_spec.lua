-- Many files: whole trees are written, walked, watched, copied and removed by many tasks at once, some of which are
-- cancelled. 1,000 files; 100,000 with MOONLET_SOAK (`make soak`).
local fs = require "moonlet.fs"
local task = require "moonlet.task"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local COUNT <const> = os.getenv "MOONLET_SOAK" and 100000 or 1000
local IN_ONE_DIRECTORY <const>, WRITERS <const> = 50, 20

local function directory_of(i) return ("%d/%d"):format(i // (10 * IN_ONE_DIRECTORY), i // IN_ONE_DIRECTORY) end

-- The type of each path below, from a walk; paths without the root.
local function listing(root)
  local found, files = {}, 0
  for path, kind in fs.walk(root) do
    assert.is_nil(found[path:sub(#root + 2)])
    found[path:sub(#root + 2)] = kind
    if kind == "file" then files = files + 1 end
  end
  return found, files
end

local function write_all(root)
  local numbers = {}
  for i = 1, COUNT do numbers[i] = i end
  task.map(numbers, function(i)
    local dir <const> = root .. "/" .. directory_of(i)
    assert(fs.mkdir(dir, { parents = true }))
    assert(fs.write(("%s/%d.txt"):format(dir, i), tostring(i), { atomic = i % 200 == 0 }))
  end, WRITERS)
end

describe("many files", function()
  it("are written, seen by a watch, walked, found, read, copied and removed", function()
    local dir <close> = assert(fs.temp_dir())
    local root, seen <const> = dir.path .. "/tree", { files = 0 }
    assert(fs.mkdir(root))
    local w <close> = assert(fs.watch(root, { recursive = true }))
    local watcher = task.spawn(function()
      for event in w:events() do
        local is_there = event.kind == "created" or event.kind == "renamed" -- what was written atomically
        if is_there and event.path:find "%.txt$" and not seen[event.path] then
          seen[event.path], seen.files = true, seen.files + 1
        end
        if seen.files == COUNT then return end
      end
    end)
    write_all(root)
    assert(watcher:join(2 * support.patience))
    w:close()

    local found, files = listing(root)
    assert.equal(COUNT, files)
    local paths = {}
    for path in fs.glob(root .. "/**/*.txt") do paths[#paths + 1] = path end
    assert.equal(COUNT, #paths)
    task.map(paths, function(path)
      assert(fs.read(path) == path:match "(%d+)%.txt$", path)
    end, WRITERS)

    assert(fs.copy(root, dir.path .. "/copy", { recursive = true }))
    assert.same(found, (listing(dir.path .. "/copy")))
    assert(fs.remove(dir.path .. "/copy", { recursive = true }))
    assert(fs.remove(root, { recursive = true }))
    assert.same({}, fs.list(dir.path))
  end)

  it("are walked and removed by tasks that are cancelled anywhere, which leave no descriptor and no copy", function()
    local dir <close> = assert(fs.temp_dir())
    local root <const>, copy <const> = dir.path .. "/tree", dir.path .. "/copy"
    write_all(root)
    for i = 1, 10 do
      local ok = task.timeout(0.0005 * i, fs.copy, root, copy, { recursive = true })
      assert.equal(ok == true, fs.exists(copy))
      if ok then assert(fs.remove(copy, { recursive = true })) end
      task.timeout(0.0005 * i, function() for _ in fs.walk(root) do task.yield() end end)
    end
    assert.equal(COUNT, select(2, listing(root)))
    repeat
      local before <const> = select(2, listing(root))
      local removed <const> = task.timeout(COUNT / 1e6, fs.remove, root, { recursive = true })
      assert.is_true(removed or select(2, listing(root)) <= before)
    until removed or before < COUNT // 2
    fs.remove(root, { recursive = true })
    assert.same({}, fs.list(dir.path))
  end)
end)
