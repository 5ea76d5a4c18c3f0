--- Answers that are files: res:file(), and handlers that serve a directory.
-- @submodule moonlet.http

local error, ipairs, pairs, pcall = error, ipairs, pairs, pcall
local require, setmetatable = require, setmetatable
local random = math.random
local concat, remove, sort, unpack = table.concat, table.remove, table.sort, table.unpack
local os_time = os.time

local argument = require "moonlet.argument"
local conditions = require "moonlet.http.conditions"
local core = require "moonlet.http.server.core"
local saving = require "moonlet.http.saving"
local type_of = require "moonlet.http.types"
local decode = require("moonlet.url").decode
-- A program without io has none.
local has_files, disk = pcall(require, "moonlet.http.files.core")

local Response = core.response_methods

-- ---- one file ----

-- A file that is open: { file, size=, changed=, tag=, coding= }.
local function open(root, path)
  local file, size, changed, fraction = disk.open(root, path)
  if not file then return nil, size, changed end
  return {
    file = file, size = size, changed = changed,
    tag = ('"%x.%x-%x"'):format(changed, fraction, size),
  }
end

local SUFFIXES = { br = ".br", gzip = ".gz" }

-- The variant that lies beside a file, coded as the peer likes best, unless it is older.
local function open_variant(req, root, path, plain)
  local accepts = req.headers["accept-encoding"]
  local offers = { "br", "gzip" }
  while offers[1] do
    local coding = core.negotiate(accepts, unpack(offers))
    if not coding then return nil end
    local variant = open(root, path .. SUFFIXES[coding])
    if variant and variant.changed >= plain.changed then
      variant.coding = coding
      return variant
    end
    if variant then variant.file:close() end
    for i = #offers, 1, -1 do
      if offers[i] == coding then remove(offers, i) end
    end
  end
end

local function set(headers, name, value)
  if value ~= nil and headers[name] == nil then headers[name] = value end
end

-- `attachment` with a name, which browsers save it under.
local function disposition(name)
  local plain = name:gsub('[%c"\\\x80-\xff]', "_")
  local field = 'attachment; filename="' .. plain .. '"'
  if plain == name then return field end
  return field .. "; filename*=UTF-8''" .. name:gsub("[^%w!#$&+.^_`|~-]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end)
end

local function add_vary(headers)
  local vary = headers.vary
  if not vary then
    headers.vary = "accept-encoding"
  elseif not vary:lower():find("accept-encoding", 1, true) and vary ~= "*" then
    headers.vary = vary .. ", accept-encoding"
  end
end

-- is_whole: the answer is the file, not what stands for another status, such as a page for 404.
local function describe(res, found, path, opts, is_whole)
  local headers = res.headers
  set(headers, "content-type", opts.type or type_of(path, opts.types))
  if is_whole then
    set(headers, "etag", found.tag)
    if found.changed <= os_time() then set(headers, "last-modified", core.date(found.changed)) end
    set(headers, "accept-ranges", "bytes")
    found.tag = headers.etag
  end
  if found.coding then headers["content-encoding"] = found.coding end
  if opts.precompressed then add_vary(headers) end
  if opts.max_age then set(headers, "cache-control", "max-age=" .. opts.max_age) end
  if opts.download then
    local name = opts.download == true and path:match "[^/]*$" or opts.download
    set(headers, "content-disposition", disposition(name))
  end
end

local function boundary()
  return ("moonlet%016x%016x"):format(random(0), random(0))
end

-- Several parts: texts between the pieces of the file.
local function send_parts(res, found, ranges)
  local mark, kind = boundary(), res.headers["content-type"]
  local list, length, before = {}, 0, ""
  for _, range in ipairs(ranges) do
    local head = ("%s--%s\r\ncontent-type: %s\r\ncontent-range: bytes %d-%d/%d\r\n\r\n")
      :format(before, mark, kind, range[1], range[2], found.size)
    local size = range[2] - range[1] + 1
    list[#list + 1], list[#list + 2], list[#list + 3] = head, range[1], size
    length = length + #head + size
    before = "\r\n"
  end
  local last = "\r\n--" .. mark .. "--\r\n"
  list[#list + 1], list[#list + 2], list[#list + 3] = last, 0, 0
  res.status = 206
  res.headers["content-type"] = "multipart/byteranges; boundary=" .. mark
  return core.ranges(res, found.file, list, length + #last)
end

local function send_range(res, found, first, last)
  res.status = 206
  res.headers["content-range"] = ("bytes %d-%d/%d"):format(first, last, found.size)
  return core.file(res, found.file, first, last - first + 1)
end

local function refuse_range(res, found)
  local headers = res.headers
  headers["content-range"] = "bytes */" .. found.size
  headers["content-type"], headers["content-encoding"], headers.etag = nil, nil, nil
  headers["last-modified"], headers["content-disposition"] = nil, nil
  found.file:close()
  res.status = 416
  return res:send "there are no such bytes\n"
end

-- The file, or the parts of it that the request asks for, become the answer.
local function send(req, res, found)
  local headers = req.headers
  local field = req.method == "GET" and headers.range
  local ranges = field and conditions.holds(headers, found.tag, found.changed)
    and conditions.ranges(field, found.size)
  if not ranges then return core.file(res, found.file, 0, found.size) end
  if not ranges[1] then return refuse_range(res, found) end
  if not ranges[2] then return send_range(res, found, ranges[1][1], ranges[1][2]) end
  if conditions.overlap(ranges) then return core.file(res, found.file, 0, found.size) end
  return send_parts(res, found, ranges)
end

-- Answers with what was found, or with what the request's conditions come to.
local function answer(req, res, found, path, opts)
  local is_whole = res.status == nil or res.status == 200
  describe(res, found, path, opts, is_whole)
  if not is_whole then return core.file(res, found.file, 0, found.size) end
  local is_read = req.method == "GET" or req.method == "HEAD"
  local status = conditions.check(req.headers, is_read, found.tag, found.changed)
  if not status then return send(req, res, found) end
  found.file:close()
  res.status = status
  res.headers["content-type"], res.headers["content-disposition"] = nil, nil
  if status == 412 then
    res.headers["content-encoding"] = nil
    return res:send "this has changed\n"
  end
  return true
end

-- Opens the file and answers with it: true; or nil, message, code: it cannot be opened.
local function serve(req, res, root, path, opts)
  local found, message, code = open(root, path)
  if not found then return nil, message, code end
  local variant = opts.precompressed and open_variant(req, root, path, found)
  if variant then
    found.file:close()
    found = variant
  end
  return answer(req, res, found, path, opts)
end

local FILE_OPTIONS = {
  type = true, root = true, download = true, max_age = true, precompressed = true,
}

--- Makes a file the answer: all of it, the parts that a Range field asks for, or 304, 412, 416 as
-- the request's conditions say. Sets content-type (by the name), etag, last-modified and the like,
-- unless the headers have them. Sends nothing yet: the file is sent when the handler has returned.
-- Never waits.
-- @function Response:file
-- @tparam string path
-- @tparam[opt] table opts
-- @tparam[opt] string opts.root a directory: the path leads to nothing outside of it
-- @tparam[opt] string opts.type in place of the one by the name
-- @param[opt] opts.download true, or a name: browsers save it
-- @tparam[opt] integer opts.max_age seconds that caches may keep it
-- @tparam[opt=false] boolean opts.precompressed a file beside it whose name has .br or .gz at its
-- end is sent to those that take it
-- @treturn boolean true; or nil, message, code: "ENOENT", "EISDIR", "EACCES" (also for what is no
-- file), "EXDEV" (outside of the root)
function Response:file(path, opts)
  saving.check_path(path, "file")
  opts = opts or {}
  argument.options(opts, 2, "file", FILE_OPTIONS)
  if not has_files then return nil, "this program may not read files", "EPERM" end
  local req, message, code = core.request(self)
  if not req then return nil, message, code end
  if self:sent() then error("the head of the answer has been sent", 2) end
  if opts.root == nil then return serve(req, self, nil, path, opts) end
  local root
  root, message, code = disk.root(opts.root)
  if not root then return nil, message, code end
  local guard <close> = root
  return serve(req, self, guard, path, opts)
end

-- ---- directories ----

local Files = { __name = "http.files" }

local NOT_FOUND = "not found\n"

-- The decoded path below the root; nil: it names nothing that is served.
local function plain_path(self, path)
  local segments = {}
  if path:sub(1, 1) ~= "/" then return nil end
  for segment in path:sub(2):gmatch "[^/]+" do
    local text = decode(segment)
    if not text or text == "." or text == ".." or text:find "[/%z]" then return nil end
    local is_hidden = text:sub(1, 1) == "." and not (#segments == 0 and text == ".well-known")
    if is_hidden and not self.opts.hidden then return nil end
    segments[#segments + 1] = text
  end
  if path:find("//", 1, true) then return nil end
  return concat(segments, "/"), path:sub(-1) == "/"
end

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escape(text) return (text:gsub('[&<>"]', ESCAPES)) end

local function encode_name(name)
  return "./" .. name:gsub("[^%w%-._~/]", function(byte) return ("%%%02X"):format(byte:byte()) end)
end

local PAGE = [[
<!doctype html>
<meta charset="utf-8">
<title>%s</title>
<h1>%s</h1>
<ul>
%s
</ul>
]]

local function show_listing(self, names, path)
  local lines, shown = {}, {}
  for _, name in ipairs(names) do
    if name:sub(1, 1) ~= "." or (self.opts.hidden and name ~= "./" and name ~= "../") then
      shown[#shown + 1] = name
    end
  end
  sort(shown)
  if path ~= "" then lines[1] = '<li><a href="../">../</a></li>' end
  for _, name in ipairs(shown) do
    lines[#lines + 1] = ('<li><a href="%s">%s</a></li>'):format(encode_name(name), escape(name))
  end
  local title = escape("/" .. path)
  local page = PAGE:format(title, title, concat(lines, "\n"))
  return 200, { ["content-type"] = "text/html; charset=utf-8" }, page
end

-- A directory whose address has no slash at its end gets one: by a relative address, which cannot
-- lead to another host.
local function add_slash(target)
  local path, query = target:match "^([^?#]*)([^#]*)"
  return 301, { location = "./" .. path:match "[^/]*$" .. "/" .. query }, ""
end

-- A mounted handler that is asked for the prefix itself sees the path "/".
local function lacks_slash(target)
  local path = target:match "^/[^?#]*"
  return path and path:sub(-1) ~= "/"
end

local function serve_directory(self, req, res, root, path)
  local opts = self.opts
  if opts.index then
    local name = (path == "" and "" or path .. "/") .. opts.index
    local ok, _, code = serve(req, res, root, name, opts)
    if ok then return true end
    if code == "EXDEV" or code == "ELOOP" then return 404, NOT_FOUND end
  end
  local names = opts.listing and disk.list(root, path)
  if names then return show_listing(self, names, path) end
  return 404, NOT_FOUND
end

-- What is no fault of the path: 500, not 404.
local OUR_TROUBLES = { EAGAIN = true, EIO = true, EMFILE = true, ENFILE = true, ENOMEM = true }

local function serve_path(self, req, res)
  local path, is_directory = plain_path(self, req.path)
  if not path then return 404, NOT_FOUND end
  -- Other requests may use the former one still: the collector closes it.
  local root, message, code = disk.root(self.root, self.place)
  if not root then return nil, self.root .. ": " .. message, code end
  self.place = root
  if path == "" and lacks_slash(req.target) then return add_slash(req.target) end
  if is_directory then return serve_directory(self, req, res, root, path) end
  local ok
  ok, message, code = serve(req, res, root, path, self.opts)
  if ok then return true end
  if code == "EISDIR" then return add_slash(req.target) end
  if OUR_TROUBLES[code] then return nil, message, code end
  return 404, NOT_FOUND
end

Files.__call = function(self, req, res)
  local method = req.method
  if method ~= "GET" and method ~= "HEAD" then
    if method == "OPTIONS" then return 204, { allow = "GET, HEAD, OPTIONS" }, "" end
    return 405, { allow = "GET, HEAD, OPTIONS" }, "this method is not allowed here\n"
  end
  return serve_path(self, req, res)
end

Files.__tostring = function(self) return "http.files (" .. self.root .. ")" end

local OPTIONS = {
  index = true, listing = true, hidden = true, precompressed = true, max_age = true, types = true,
}

local files = {}

--- Makes a handler that serves the files below a directory, for GET and HEAD, as res:file() does.
-- Nothing outside of it is reached, by ".." or by symbolic links, whatever changes meanwhile: the
-- kernel sees to that. What is neither file nor directory is 404, and so are names that begin with
-- a dot, but for "/.well-known". Raises if there is no such directory.
--
--     http.serve({ port = 8080 }, http.files("public"))
--
-- @function files
-- @tparam string root
-- @tparam[opt] table opts
-- @param[opt="index.html"] opts.index the file that stands for a directory; false: none
-- @tparam[opt=false] boolean opts.listing directories without one show what is in them
-- @tparam[opt=false] boolean opts.hidden names that begin with a dot are served, too
-- @tparam[opt=true] boolean opts.precompressed a file beside the other whose name has .br or .gz at
-- its end, and which is not older, is sent to those that take it
-- @tparam[opt] integer opts.max_age seconds that caches may keep a file
-- @tparam[opt] table opts.types extension -> content type, beside those that are known
-- @treturn function(Request,Response) a handler
function files.files(root, opts)
  saving.check_path(root, "files")
  local own = { index = "index.html", precompressed = true }
  argument.options(opts or {}, 2, "files", OPTIONS)
  for name, value in pairs(opts or {}) do own[name] = value end
  if not has_files then error("this program may not read files", 2) end
  local place, message = disk.root(root)
  if not place then error(("bad argument #1 to 'files' (%s: %s)"):format(root, message), 2) end
  return setmetatable({ root = root, place = place, opts = own }, Files)
end

return files
