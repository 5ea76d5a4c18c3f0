--- A reader of a watch that keeps a picture of its directory: what exists, by path. And what else the specs of
-- watches share.

local task = require "moonlet.task"

local reader = {}

--- Runs a shell command in a child, while other tasks go on; it must succeed.
function reader.sh(command, ...)
  command = select("#", ...) > 0 and command:format(...) or command
  assert(os.execute(command))
end

--- A new directory, which is removed when it is closed.
-- @treturn table path
function reader.directory()
  local path = os.tmpname()
  os.remove(path)
  reader.sh("mkdir %s", path)
  return setmetatable({ path = path }, { __close = function()
    reader.sh("chmod -R u+rwx %s; rm -rf %s", path, path)
  end })
end

--- Applies an event to a picture, which is a table: path -> "directory" or "other". An error if the two do not fit.
function reader.apply(picture, event)
  local function is_below(path) return path:sub(1, #event.path + 1) == event.path .. "/" end
  if event.kind == "created" then
    assert(not picture[event.path], "created twice")
    picture[event.path] = event.directory and "directory" or "other"
  elseif event.kind == "removed" then
    for path in pairs(picture) do assert(not is_below(path), "removed before its content") end
    picture[event.path] = nil
  elseif event.kind == "renamed" then
    assert(picture[event.from], "an unknown file is renamed")
    for path in pairs(picture) do assert(not is_below(path), "renamed over a directory with content") end
    local moved = {}
    for path, kind in pairs(picture) do
      if path == event.from or path:sub(1, #event.from + 1) == event.from .. "/" then moved[path] = kind end
    end
    for path in pairs(moved) do picture[path] = nil end
    for path, kind in pairs(moved) do picture[event.path .. path:sub(#event.from + 1)] = kind end
  elseif event.kind == "changed" then
    assert(picture[event.path], "an unknown file has changed")
  end
end

--- What there is below a directory on the disk, as a picture.
function reader.disk(root)
  local picture = { [root] = "directory" }
  local find <close> = io.popen(("find '%s' -mindepth 1 -printf '%%y%%p\\0' 2>/dev/null"):format(root))
  for kind, path in find:read("a"):gmatch("(.)([^\0]*)\0") do
    picture[path] = kind == "d" and "directory" or "other"
  end
  return picture
end

--- The differences between two pictures, as text.
function reader.differences(picture, disk)
  local lines = {}
  for path, kind in pairs(disk) do
    if picture[path] ~= kind then lines[#lines + 1] = ("the disk has %s %q"):format(kind, path) end
  end
  for path, kind in pairs(picture) do
    if disk[path] ~= kind then lines[#lines + 1] = ("the picture has %s %q"):format(kind, path) end
  end
  return table.concat(lines, "\n")
end

--- Applies events until none has come for a while, and calls see(event) for each.
function reader.follow(w, picture, quiet, see)
  while true do
    local event, message, code = w:next(quiet)
    if not event then
      if code == "ETIMEDOUT" then return end
      error(message)
    end
    if see then see(event) end
    reader.apply(picture, event)
  end
end

--- Follows until the picture is that of the disk: within a generous time, since a worker may list still.
function reader.agrees(w, picture, root, see)
  local deadline = task.now() + 20
  local differences
  repeat
    reader.follow(w, picture, 0.05, see)
    differences = reader.differences(picture, reader.disk(root))
  until differences == "" or task.now() > deadline
  assert(differences == "", differences)
end

--- The events up to a "created" of the file `last`, which is made for this: as "kind path [from]", the root cut off.
-- Without "changed": how many of these there are depends on what the reader has seen before.
function reader.events_until(w, root, last)
  local file = assert(io.open(root .. "/" .. last, "w"))
  file:close()
  local function short(path) return path == root and "." or path:sub(#root + 2) end
  local seen = {}
  while true do
    local event = assert(w:next(20))
    if event.path == root .. "/" .. last then return seen end
    if event.kind ~= "changed" then
      seen[#seen + 1] = event.kind .. " " .. short(event.path) .. (event.from and " " .. short(event.from) or "")
    end
  end
end

return reader
