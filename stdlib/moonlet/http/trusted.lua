--- Whom a request is from when proxies stand before the server: a part of moonlet.http's server.
-- @module moonlet.http.trusted

local ipairs, pairs, tonumber, type = ipairs, pairs, tonumber, type
local string, table = string, table

local argument = require "moonlet.argument"
local net = require "moonlet.net"

local trusted = {}

-- The bits of an address as a string of bytes, 4 or 16; nil: it is none.
local function bytes_of(text)
  local a, b, c, d = text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  if a then
    a, b, c, d = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
    if a > 255 or b > 255 or c > 255 or d > 255 then return nil end
    return string.char(a, b, c, d)
  end
  local mapped = text:match "^::[fF][fF][fF][fF]:(%d+%.%d+%.%d+%.%d+)$"
  if mapped then return bytes_of(mapped) end
  local head, tail = text:match "^([%x:]-)::([%x:]*)$"
  local groups = {}
  local function add(part)
    for group in part:gmatch "[^:]+" do
      if #group > 4 then return false end
      groups[#groups + 1] = tonumber(group, 16)
    end
    return true
  end
  if not head then
    if not text:find "^[%x:]+$" or not add(text) or #groups ~= 8 then return nil end
  else
    if not add(head) then return nil end
    local before = #groups
    if not add(tail) or #groups > 7 then return nil end
    local zeros = 8 - #groups
    for i = #groups, before + 1, -1 do groups[i + zeros] = groups[i] end
    for i = before + 1, before + zeros do groups[i] = 0 end
  end
  return string.pack(">I2I2I2I2I2I2I2I2", table.unpack(groups))
end

local function parse_network(text)
  local address, bits = text:match "^(.-)/(%d+)$"
  local bytes = bytes_of(address or text)
  bits = tonumber(bits) or bytes and #bytes * 8
  if not bytes or bits > #bytes * 8 then
    argument.fail(("option 'trusted' has '%s', which is no address or network"):format(text))
  end
  return { bytes = bytes, bits = bits }
end

local function is_in(bytes, network)
  if #bytes ~= #network.bytes then return false end
  local whole, rest = network.bits // 8, network.bits % 8
  if bytes:sub(1, whole) ~= network.bytes:sub(1, whole) then return false end
  if rest == 0 then return true end
  local shift = 8 - rest
  return bytes:byte(whole + 1) >> shift == network.bytes:byte(whole + 1) >> shift
end

-- Whether a proxy at that address is trusted. Peers in the Unix domain are "unix".
local function is_trusted(self, address)
  if address == "unix" then return self.unix end
  local bytes = bytes_of(address)
  if not bytes then return false end
  for _, network in ipairs(self) do
    if is_in(bytes, network) then return true end
  end
  return false
end

-- "[2001:db8::1]:4711", "192.0.2.1:80", with quotes or without -> the address alone.
local function address_in(text)
  text = text:gsub('^%s*"?(.-)"?%s*$', "%1")
  return text:match "^%[([^%]]*)%]" or text:match "^([^:]*):%d+$" or text
end

-- The elements of a Forwarded field (RFC 7239), each a table of its parameters.
local function forwarded(value)
  local list = {}
  for element in value:gmatch "[^,]+" do
    local parameters = {}
    for name, text in element:gmatch '([%w%-]+)%s*=%s*("?[^;,]*)' do
      parameters[name:lower()] = text:gsub('^"?(.-)"?%s*$', "%1")
    end
    list[#list + 1] = parameters
  end
  return list
end

-- The hops that the fields tell of, the client's first: tables with for=, proto=, host=.
local function hops_of(headers)
  local value = headers:get "forwarded"
  if value then return forwarded(value) end
  local hops = {}
  value = headers:get "x-forwarded-for"
  for element in (value or ""):gmatch "[^,]+" do hops[#hops + 1] = { ["for"] = element } end
  if #hops == 0 then hops[1] = {} end
  local last = hops[#hops]
  for field, name in pairs { ["x-forwarded-proto"] = "proto", ["x-forwarded-host"] = "host" } do
    local text = headers:get(field)
    if text then last[name] = text:match "([^,]*)$":match "^%s*(.-)%s*$" end
  end
  return hops
end

--- Makes the function that the server asks for a request's client, scheme and host.
-- @tparam {string,...} list addresses, networks ("10.0.0.0/8"), "unix"
-- @treturn function(peer,scheme,host,headers) -> client, scheme, host
function trusted.new(list)
  if type(list) ~= "table" then argument.fail "option 'trusted' must be a list of addresses" end
  local self = {}
  for _, text in ipairs(list) do
    if text == "unix" then self.unix = true else self[#self + 1] = parse_network(text) end
  end
  return function(peer, scheme, host, headers)
    local at = peer and peer.host or "unix"
    if not is_trusted(self, at) then return peer, scheme, host end
    local hops = hops_of(headers)
    local client = peer
    for i = #hops, 1, -1 do -- from the nearest: the first that no proxy vouches for is the client
      local hop = hops[i]
      if hop.proto == "http" or hop.proto == "https" then scheme = hop.proto end
      if hop.host and not hop.host:find "[%s/@]" then host = hop.host end
      local address = hop["for"] and address_in(hop["for"])
      if not address or not bytes_of(address) then break end
      client = net.resolve(address)[1] -- a number: no name server is asked
      if not is_trusted(self, address) then break end
    end
    return client, scheme, host
  end
end

return trusted
