---@meta moonlet.http.proxy

---Proxies of HTTP clients: which one a URL is reached through, and how (HTTP's CONNECT, SOCKS5). For
---moonlet's own modules.
---@class moonlet.http.proxy
local proxy = {}

---The proxy that the environment names for a URL; nil: none.
---@param scheme any
---@param host any
---@param port any
function proxy.from_environment(scheme, host, port) end

---Reads a proxy's URL.
---@param text any
---@return table|nil|nil # scheme, host, port, user, password; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function proxy.parse(text) end

---Asks a SOCKS5 proxy, to which the stream is connected, for a connection (RFC 1928, 1929).
---@param stream any
---@param through any
---@param host any
---@param port any
---@return boolean|nil # true; or nil, message, code, the stream closed
---@return string|nil # message
---@return string|nil # code
function proxy.socks5(stream, through, host, port) end

return proxy
