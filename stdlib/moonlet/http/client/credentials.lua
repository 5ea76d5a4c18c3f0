--- What Authorization and Proxy-Authorization say (RFC 7617, 6750). For moonlet's own modules.
-- @module moonlet.http.client.credentials

local error, table_concat, type = error, table.concat, type

local credentials = {}

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a << 16 | (b or 0) << 8 | (c or 0)
    for k = 0, 3 do
      local digit = n >> (18 - 6 * k) & 63
      out[#out + 1] = (k < 2 or (k == 2 and b) or c) and DIGITS:sub(digit + 1, digit + 1) or "="
    end
  end
  return table_concat(out)
end

--- The value for a user and a password.
function credentials.basic(user, password)
  return "Basic " .. base64(user .. ":" .. (password or ""))
end

--- Raises for an option `auth` that is none.
function credentials.check(auth)
  local is_given = auth == nil or type(auth) == "string"
  if type(auth) == "table" then
    local user = auth.user or auth[1]
    is_given = type(auth.token or user) == "string"
      and type(user and (auth.password or auth[2]) or "") == "string"
  end
  if not is_given then
    error("option 'auth' must be {user=, password=}, {token=} or a string", 0)
  end
end

--- The value for an option `auth`: a text, {token=}, {user=, password=} or {user, password}.
function credentials.value(auth)
  if type(auth) == "string" then return auth end
  if auth.token then return "Bearer " .. auth.token end
  return credentials.basic(auth.user or auth[1], auth.password or auth[2])
end

return credentials
