--- Routers: which handler a request is for, by its method and path; what runs around handlers.
-- @submodule moonlet.http

local error, ipairs, next, pairs, setmetatable = error, ipairs, next, pairs, setmetatable
local type = type
local concat, sort = table.concat, table.sort
local argument = require "moonlet.argument"
local core = require "moonlet.http.server.core"
local check_path = require("moonlet.http.saving").check_path
local files = require("moonlet.http.files").files
local limited = require("moonlet.http.server").limited
local decode = require("moonlet.url").decode

local router = {}

-- A node of the tree of patterns, one for each segment of a path:
--   static: segment -> node; param: the node of `{name}`; rest: the routes of `{name...}`;
--   routes: the routes that end here, by method.
-- A route: handler, options, pattern, names of its parameters in their order.
local function new_node() return { static = {} } end

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

-- The segments of a pattern: text, or { name = , is_rest = }. Raises at the caller's caller.
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
  local segments, seen = {}, {}
  for text in pattern:gmatch "/([^/]*)" do
    local parameter, dots = text:match "^{([%a_][%w_]*)(%.*)}$"
    if #segments > 0 and segments[#segments].is_rest then refuse "'{name...}' is not at the end" end
    if not parameter then
      if text:find "[{}]" then refuse("'" .. text .. "' is no segment") end
      segments[#segments + 1] = text
    else
      if dots ~= "" and dots ~= "..." then refuse("'" .. text .. "' is no parameter") end
      if seen[parameter] then refuse("two parameters '" .. parameter .. "'") end
      seen[parameter] = true
      segments[#segments + 1] = { name = parameter, is_rest = dots == "..." }
    end
  end
  return segments
end

local function child(node, segment)
  if type(segment) == "string" then
    node.static[segment] = node.static[segment] or new_node()
    return node.static[segment]
  end
  node.param = node.param or new_node()
  return node.param
end

-- The routes of a pattern by method, made if there are none, and the names of its parameters.
local function routes_of(root, segments)
  local node, names = root, {}
  for _, segment in ipairs(segments) do
    if type(segment) == "table" then names[#names + 1] = segment.name end
    if type(segment) == "table" and segment.is_rest then
      node.rest = node.rest or {}
      return node.rest, names
    end
    node = child(node, segment)
  end
  node.routes = node.routes or {}
  return node.routes, names
end

local function is_static(segments)
  for _, segment in ipairs(segments) do
    if type(segment) ~= "string" then return false end
  end
  return true
end

-- ---- matching ----

-- A segment as it is compared: decoded. One that cannot be decoded matches as it stands.
local function plain(segment)
  if not segment:find("%", 1, true) then return segment end
  return decode(segment) or segment
end

local function split(path)
  local segments = {}
  for segment in path:gmatch "/([^/]*)" do segments[#segments + 1] = segment end
  return segments
end

-- The route for a method among those of one pattern. GET answers HEAD.
local function choose(routes, method)
  return routes[method] or (method == "HEAD" and routes.GET) or routes.ANY
end

-- Looks through the tree below a node, the most specific first: text, then `{name}`, then
-- `{name...}`. Returns the route; `values` gets the parameters', `allowed` the methods that would
-- have matched.
local function find(node, segments, at, method, values, allowed)
  local segment = segments[at]
  local depth = #values
  local route
  if not segment then
    if not node.routes then return nil end
    route = choose(node.routes, method)
    if not route then for name in pairs(node.routes) do allowed[name] = true end end
    return route
  end
  local text = plain(segment)
  local nearer = node.static[text]
  route = nearer and find(nearer, segments, at + 1, method, values, allowed)
  if route then return route end
  if node.param and text ~= "" then
    values[depth + 1] = text
    route = find(node.param, segments, at + 1, method, values, allowed)
    if route then return route end
  end
  for i = depth + 1, #values do values[i] = nil end
  if not node.rest then return nil end
  route = choose(node.rest, method)
  if not route then
    for name in pairs(node.rest) do allowed[name] = true end
    return nil
  end
  local rest = {}
  for i = at, #segments do rest[#rest + 1] = plain(segments[i]) end
  values[depth + 1] = concat(rest, "/")
  return route
end

local function allow_field(allowed)
  local names = {}
  if allowed.GET then allowed.HEAD = true end
  allowed.OPTIONS = true
  for name in pairs(allowed) do names[#names + 1] = name end
  sort(names)
  return concat(names, ", ")
end

-- What is answered when no route matches.
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

local function run_route(route, req, res, values)
  req.route = (prefixes[req] or "") .. route.pattern
  if route.names[1] then
    local params = {}
    for i, name in ipairs(route.names) do params[name] = values[i] end
    req.params = params
  end
  if route.options then core.limit(req, route.options) end
  return route.handler(req, res)
end

-- What the router itself does, within its middleware.
local function dispatch(self, req, res)
  local path, method = req.path, req.method
  local routes = self.exact[path]
  local route = routes and choose(routes, method)
  if route then return run_route(route, req, res) end
  local values, allowed = {}, {}
  route = find(self.root, split(path), 1, method, values, allowed)
  if route then return run_route(route, req, res, values) end
  local mount = find_mount(self, path)
  if mount then return run_mount(mount, req, res) end
  return refuse(req, allowed)
end

-- Runs the middleware from `at` on, then the router.
local function run_from(self, at, req, res)
  local around = self.around[at]
  if not around then return dispatch(self, req, res) end
  return around(req, res, function()
    core.fill(req, res, run_from(self, at + 1, req, res))
  end)
end

Router.__call = function(self, req, res)
  return run_from(self, 1, req, res)
end

-- ---- the methods ----

local methods = {}
Router.__index = methods

local function add(self, method, name, pattern, opts, handler)
  argument.self(self, Router, name)
  local position = 3
  if handler == nil and argument.is_callable(opts) then opts, handler, position = nil, opts, 2 end
  if opts ~= nil then argument.options(opts, 2, name, OPTIONS) end
  argument.callable(handler, position, name)
  local segments = parse_pattern(pattern, 1, name)
  local routes, names = routes_of(self.root, segments)
  if routes[method] then
    local message = "bad argument #1 to '%s' (there is a route for '%s' already: '%s')"
    error(message:format(name, pattern, routes[method].pattern), 2)
  end
  if opts and opts.timeout then handler = limited(handler, opts.timeout) end
  routes[method] = { handler = handler, options = opts, pattern = pattern, names = names }
  if is_static(segments) then self.exact[pattern] = routes end
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
-- all the rest. Parts of the path are compared and handed over decoded. A route for GET answers HEAD, OPTIONS is answered
-- with the methods that there are, and so is, with 405, a method that there is not.
-- @function Router:get
-- @tparam string pattern "/users/{id}", "/files/{path...}"
-- @tparam[opt] table opts
-- @tparam[opt] integer opts.max_body bytes of a request's body
-- @tparam[opt] number opts.timeout seconds for the handler: then 503
-- @tparam[opt] number opts.read_timeout seconds that one wait for the body may take
-- @tparam[opt] number opts.write_timeout seconds that one wait for the peer to read may take
-- @tparam[opt] string opts.on_gone "cancel" or "ignore"
-- @tparam[opt] boolean opts.compress as serve() has it
-- @tparam function(req,res) handler
-- @treturn Router itself

--- Adds a route for POST, likewise.
-- @function Router:post
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(req,res) handler
-- @treturn Router itself

--- Adds a route for PUT, likewise.
-- @function Router:put
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(req,res) handler
-- @treturn Router itself

--- Adds a route for PATCH, likewise.
-- @function Router:patch
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(req,res) handler
-- @treturn Router itself

--- Adds a route for DELETE, likewise.
-- @function Router:delete
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(req,res) handler
-- @treturn Router itself

--- Adds a route for HEAD, in place of the one for GET, likewise.
-- @function Router:head
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(req,res) handler
-- @treturn Router itself

--- Adds a route for OPTIONS, likewise.
-- @function Router:options
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(req,res) handler
-- @treturn Router itself

--- Adds a route for every method that has none of its own, likewise.
-- @function Router:any
-- @tparam string pattern
-- @tparam[opt] table opts
-- @tparam function(req,res) handler
-- @treturn Router itself

function methods:any(pattern, opts, handler)
  return add(self, "ANY", "any", pattern, opts, handler)
end

--- Adds middleware, which runs around all that the router does, in the order of adding: it calls
-- next() to run the rest, whose results are then in res, and may return results of its own.
-- @function Router:use
-- @tparam function(req,res,next) fn
-- @treturn Router itself
function methods:use(fn)
  argument.self(self, Router, "use")
  argument.callable(fn, 1, "use")
  self.around[#self.around + 1] = fn
  return self
end

--- Hands all paths below the prefix, for which there is no route, to another handler, which sees
-- them without it.
-- @function Router:mount
-- @tparam string prefix "/api"
-- @tparam function(req,res) handler such as another router
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
  return setmetatable({ root = new_node(), exact = {}, mounts = {}, around = {} }, Router)
end

Router.__tostring = function(self)
  return ("http.router (%d middleware, %d mounted)"):format(#self.around, #self.mounts)
end

return router
