---@meta moonlet

---moonlet: green threads for Lua 5.4.
---The table that `require "moonlet"` returns: each field is a module, loaded at its first use, so
---that `moonlet.net` is `require "moonlet.net"`.
---@class moonlet
---@field channel moonlet.channel
---@field crypto moonlet.crypto
---@field durable moonlet.durable
---@field fs moonlet.fs
---@field greenlet moonlet.greenlet
---@field http moonlet.http
---@field inspect moonlet.inspect
---@field json moonlet.json
---@field net moonlet.net
---@field patch moonlet.patch
---@field pool moonlet.pool
---@field postgres moonlet.postgres
---@field process moonlet.process
---@field queue moonlet.queue
---@field redis moonlet.redis
---@field signal moonlet.signal
---@field sql moonlet.sql
---@field sqlite moonlet.sqlite
---@field sync moonlet.sync
---@field task moonlet.task
---@field terminal moonlet.terminal
---@field test moonlet.test
---@field thread moonlet.thread
---@field url moonlet.url
---@field websocket moonlet.websocket
---@field worker moonlet.worker
local moonlet = {}

return moonlet
