---@meta moonlet.inspect

---A view inside the running program: its tasks, metrics, profiles and traces.
---@class moonlet.inspect
local inspect = {}

return inspect
