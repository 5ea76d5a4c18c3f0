-- Work that is to be done every night, on whatever machine is there, once.
--
--     moonlet scripts/nightly.lua DATABASE DIRECTORY [CRON [ZONE]]
--
-- Removes files of DIRECTORY that are older than 30 days, at CRON ("30 2 * * *") in ZONE ("UTC").
-- Start it on as many machines as you like: each night has one run. One that was missed is made up
-- for. `moonlet --durable DATABASE ls` shows what was done.
local durable = require "moonlet.durable"
local fs = require "moonlet.fs"

local path, directory, cron, zone = arg[1], arg[2], arg[3] or "30 2 * * *", arg[4] or "UTC"
if not directory then
  io.stderr:write "usage: moonlet nightly.lua DATABASE DIRECTORY [CRON [ZONE]]\n"
  os.exit(1)
end

local OLD = 30 * 86400

local d <close> = assert(durable.open(path))
d:workflow("tidy", { timeout = 6 * 3600 }, function(ctx)
  local now = ctx:now()
  local old = ctx:step("look", function()
    local list = {}
    for _, name in ipairs(assert(fs.list(directory))) do
      local stat = fs.lstat(directory .. "/" .. name)
      if stat and stat.type == "file" and now - stat.mtime > OLD then list[#list + 1] = name end
    end
    return list
  end)
  for _, name in ipairs(old) do
    ctx:step("remove", function()
      local ok, message, code = fs.remove(directory .. "/" .. name)
      if not ok and code ~= "ENOENT" then return nil, message, code end -- removed before a crash
    end)
  end
  return #old
end)
d:schedule("tidy", cron, "tidy", { tz = zone, catch_up = "last" })
print(("waiting for '%s' in %s"):format(cron, zone))
d:serve()
