---@meta moonlet.http.cookies

---Cookies of one client.
---@class moonlet.http.cookies.Jar
local Jar = {}

---Forgets all.
function Jar:clear() end

---The value of a Cookie field for a request.
---@param scheme string
---@param host string
---@param path string
---@return string|nil # nil: there is none
function Jar:header(scheme, host, path) end

---Takes a Set-Cookie line that a server at the URL sent.
---@param line string
---@param scheme string
---@param host string
---@param path string
---@return boolean # whether it was taken
function Jar:set(line, scheme, host, path) end

---A jar of cookies, by RFC 6265. For moonlet's own modules: `http.client{cookies=true}` has one.
---@class moonlet.http.cookies
local cookies = {}

---Reads a date as loosely as RFC 6265, section 5.1.1, says.
---@param text string
---@return integer|nil # seconds since 1970; nil: it is no date
function cookies.date(text) end

---Whether names under `domain` belong to different owners, so that no cookie may be for it.
---Without the distribution's list every name without a dot does.
---@param domain string in lower case
---@return boolean
function cookies.is_public_suffix(domain) end

---Makes a jar.
---@param now? function seconds since 1970
---@return moonlet.http.cookies.Jar
function cookies.new(now) end

---Reads a Set-Cookie line.
---@param line string
---@return table|nil # name, value and the attributes as they stand
function cookies.parse(line) end

return cookies
