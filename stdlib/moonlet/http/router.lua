--- Routers: which handler a request is for, by its method and path; what runs around handlers.
-- @submodule moonlet.http

local error, ipairs, next, pairs, setmetatable = error, ipairs, next, pairs, setmetatable
local type = type
local concat, sort, unpack = table.concat, table.sort, table.unpack
local argument = require "moonlet.argument"
local core = require "moonlet.http.server.core"
local check_path = require("moonlet.http.saving").check_path
local files = require("moonlet.http.files").files
local limited = require("moonlet.http.server").limited

local router = {}

-- A router: [1]: its routes, which C code keeps; around, mounts: lists.
-- A route is a list: handler, pattern, options or false, names of its parameters in their order.

local MOST_PARAMETERS = 32

local METHODS = { "get", "post", "put", "patch", "delete", "head", "options" }

local OPTIONS = {
  max_body = true, timeout = true, read_timeout = true, write_timeout = true, on_gone = true,
  compress = true,
}

--- A handler that calls other ones, by method and path.
-- @object Router

local Router = { __name = "http.router" }

-- Requests that are in a mounted handler -> the prefix that their path has lost.
local prefixes = setmetatable({}, { __mode = "k" })

-- ---- patterns ----

-- The segments of a pattern: text, or { name = , is_rest = }; and the names of its parameters.
-- Raises at the caller's caller.
local function parse_pattern(pattern, position, name)
  local function refuse(message)
    error(("bad argument #%d to '%s' (%s in the pattern '%s')")
      :format(position, name, message, pattern), 4)
  end
  if type(pattern) ~= "string" then
    local message = "bad argument #%d to '%s' (string expected, got %s)"
    error(message:format(position, name, type(pattern)), 4)
  end
  if pattern:sub(1, 1) ~= "/" then refuse "no '/' at the beginning" end
  local segments, names, seen = {}, {}, {}
  for text in pattern:gmatch "/([^/]*)" do
    local parameter, dots = text:match "^{([%a_][%w_]*)(%.*)}$"
    if #segments > 0 and segments[#segments].is_rest then refuse "'{name...}' is not at the end" end
    if not parameter then
      if text:find "[{}]" then refuse("'" .. text .. "' is no segment") end
      segments[#segments + 1] = text
    else
      if dots ~= "" and dots ~= "..." then refuse("'" .. text .. "' is no parameter") end
      if seen[parameter] then refuse("two parameters '" .. parameter .. "'") end
      if #names == MOST_PARAMETERS then refuse "more than 32 parameters" end
      seen[parameter] = true
      names[#names + 1] = parameter
      segments[#segments + 1] = { name = parameter, is_rest = dots == "..." }
    end
  end
  return segments, names
end

-- ---- what is not plain ----

local function allow_field(allowed)
  local names = {}
  if allowed.GET then allowed.HEAD = true end
  allowed.OPTIONS = true
  for name in pairs(allowed) do names[#names + 1] = name end
  sort(names)
  return concat(names, ", ")
end

-- The answer when no route matches.
local function refuse(req, allowed)
  if next(allowed) == nil then return 404, "not found\n" end
  local headers = { allow = allow_field(allowed) }
  if req.method == "OPTIONS" then return 204, headers, "" end
  return 405, headers, "this method is not allowed here\n"
end

-- The mounted handler whose prefix is the longest one of the path.
local function find_mount(self, path)
  for _, mount in ipairs(self.mounts) do
    local prefix = mount.prefix
    local is_below = path == prefix or path:sub(1, #prefix + 1) == prefix .. "/"
    if is_below or prefix == "" then return mount end
  end
end

-- Gives the request its path back, whatever ends the handler.
local Mounted = {
  __close = function(self) self.req.path, prefixes[self.req] = self.path, self.before end,
}

local function run_mount(mount, req, res)
  local path, before = req.path, prefixes[req]
  local guard <close> = -- luacheck: ignore 211
    setmetatable({ req = req, path = path, before = before }, Mounted)
  req.path = path == mount.prefix and "/" or path:sub(#mount.prefix + 1)
  prefixes[req] = (before or "") .. mount.prefix
  return mount.handler(req, res)
end

-- A request for which there is no route here, or whose path is that of a mounted handler.
local function dispatch(self, req, res)
  local path = req.path
  local route, found = core.find_route(self[1], req.method, path)
  if not route then
    local mount = find_mount(self, path)
    if mount then return run_mount(mount, req, res) end
    if path == "*" then return 204, {}, "" end -- OPTIONS * asks whether there is a server
    return refuse(req, found)
  end
  req.route = (prefixes[req] or "") .. route[2]
  req.params = found
  if route[3] then core.limit(req, route[3]) end
  return route[1](req, res)
end

local dispatch_plainly = core.dispatcher(nil, dispatch)

-- Runs the middleware from `at` on, then the router.
local function run_from(self, at, req, res)
  local around = self.around[at]
  if not around then return dispatch_plainly(self, req, res) end
  return around(req, res, function()
    core.fill(req, res, run_from(self, at + 1, req, res))
  end)
end

Router.__call = core.dispatcher(function(self, req, res)
  return run_from(self, 1, req, res)
end, dispatch)

-- ---- the methods ----

local methods = {}
Router.__index = methods

local function add(self, method, name, pattern, opts, handler)
  argument.self(self, Router, name)
  local position = 3
  if argument.is_callable(opts) and not argument.is_callable(handler) then
    opts, handler, position = nil, opts, 2 -- what follows is another result of require
  end
  if opts ~= nil then argument.options(opts, 2, name, OPTIONS) end
  argument.callable(handler, position, name)
  local segments, names = parse_pattern(pattern, 1, name)
  if opts and opts.timeout then handler = limited(handler, opts.timeout) end
  local route = { handler, pattern, opts or false, unpack(names) }
  local there = core.add_route(self[1], method, segments, route)
  if there then
    local message = "bad argument #1 to '%s' (there is a route for '%s' already: '%s')"
    error(message:format(name, pattern, there[2]), 2)
  end
  return self
end

for _, name in ipairs(METHODS) do
  local method = name:upper()
  methods[name] = function(self, pattern, opts, handler)
    return add(self, method, name, pattern, opts, handler)
  end
end

--- Adds a route for GET. Of several patterns that match, the most specific one wins, segment by
-- segment: text, then `{name}`, which is one segment that is not empty, then `{name...}`, which is
-- all the rest. Parts of the path are compared and handed over decoded. A route for GET answers
-- HEAD; OPTIONS is answered with the methods that there are, and so is, with 405, a method that
-- there is not.
-- @function Router:get
-- @tparam string pattern "/users/{id}", "/files/{path...}"
-- @tparam[opt] table opts
-- @tparam[opt] integer opts.max_body bytes of a request's body
-- @tparam[opt] number opts.timeout seconds for the handler: then 503
-- @tparam[opt] number opts.read_timeout seconds that one wait for the body may take
-- @tparam[opt] number opts.write_timeout seconds that one wait for the peer to read may take
-- @tparam[opt] string opts.on_gone "cancel" or "ignore"
-- @tparam[opt] boolean opts.compress as serve() has it
-- @tparam function(Request,Response) handler
-- @treturn Router itself

--- Adds a route for POST, likewise.
-- @function Router:post
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(Request,Response) handler
-- @treturn Router itself

--- Adds a route for PUT, likewise.
-- @function Router:put
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(Request,Response) handler
-- @treturn Router itself

--- Adds a route for PATCH, likewise.
-- @function Router:patch
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(Request,Response) handler
-- @treturn Router itself

--- Adds a route for DELETE, likewise.
-- @function Router:delete
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(Request,Response) handler
-- @treturn Router itself

--- Adds a route for HEAD, in place of the one for GET, likewise.
-- @function Router:head
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(Request,Response) handler
-- @treturn Router itself

--- Adds a route for OPTIONS, likewise.
-- @function Router:options
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(Request,Response) handler
-- @treturn Router itself

--- Adds a route for every method that has none of its own, likewise.
-- @function Router:any
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(Request,Response) handler
-- @treturn Router itself

function methods:any(pattern, opts, handler)
  return add(self, "ANY", "any", pattern, opts, handler)
end

--- Adds middleware, which runs around all that the router does, in the order of adding: it calls
-- next() to run the rest, whose results are then in res, and may return results of its own.
-- @function Router:use
-- @tparam function(Request,Response,next) fn
-- @treturn Router itself
function methods:use(fn)
  argument.self(self, Router, "use")
  argument.callable(fn, 1, "use")
  self.around[#self.around + 1] = fn
  core.surround(self[1])
  return self
end

--- Hands all paths below the prefix, for which there is no route, to another handler, which sees
-- them without it.
-- @function Router:mount
-- @tparam string prefix "/api"
-- @tparam function(Request,Response) handler such as another router
-- @treturn Router itself
function methods:mount(prefix, handler)
  argument.self(self, Router, "mount")
  local is_prefix = type(prefix) == "string" and (prefix == "" or prefix:sub(1, 1) == "/")
  argument.check(is_prefix, 1, "mount", "a prefix begins with '/'")
  argument.callable(handler, 2, "mount")
  self.mounts[#self.mounts + 1] = { prefix = prefix:gsub("/+$", ""), handler = handler }
  sort(self.mounts, function(a, b) return #a.prefix > #b.prefix end)
  return self
end

--- Serves the files below a directory under all paths below the prefix, for which there is no
-- route: mount(prefix, http.files(directory, opts)).
-- @function Router:static
-- @tparam string prefix "/assets"
-- @tparam string directory
-- @tparam[opt] table opts as http.files has them
-- @treturn Router itself
function methods:static(prefix, directory, opts)
  argument.self(self, Router, "static")
  check_path(prefix, "static")
  return self:mount(prefix, files(directory, opts))
end

--- Makes a router: a handler that calls other ones.
-- @function router
-- @treturn Router
function router.router()
  return setmetatable({ core.routes(), mounts = {}, around = {} }, Router)
end

Router.__tostring = function(self)
  return ("http.router (%d middleware, %d mounted)"):format(#self.around, #self.mounts)
end

return router
