--- The client's half of moonlet.http: its functions, and clients with settings of their own.
-- @submodule moonlet.http

local getmetatable, ipairs, pairs = getmetatable, ipairs, pairs
local setmetatable, type = setmetatable, type

local argument = require "moonlet.argument"
local call = require "moonlet.http.client.call"
local cookies = require "moonlet.http.cookies"
local download = require "moonlet.http.client.download"
local new_headers = require("moonlet.http.headers").new
local options = require "moonlet.http.client.options"
local pools = require "moonlet.http.pool"
local tunnels = require "moonlet.http.client.tunnel"

local M = {}

local CLIENT = options.set "base headers cookies pool version redirects retries auth tls proxy \z
  max_body timeout check decode connect allow downgrade"

--- A client: its own pool, headers and cookies. The functions of moonlet.http are its methods, too.
-- @object Client
local Client = {}
Client.__index = Client
tunnels.Client = Client
Client.__name = "http.client"

function Client:__tostring()
  return ("http.client (%s, %d open)"):format(self.is_closed and "closed" or "open", self.pool.open)
end

local function new_client(opts)
  local own = {}
  for name, value in pairs(opts) do own[name] = value end
  own.headers, own.cookies, own.pool, own.version = nil, nil, nil, nil
  local jar = opts.cookies
  if jar == true then jar = cookies.new() end
  local headers = opts.headers and new_headers(opts.headers)
  return setmetatable({ opts = own, headers = headers, jar = jar or nil,
    pool = pools.new(opts.pool), version = opts.version }, Client)
end

local shared

-- The client of the plain calls.
local function shared_client()
  shared = shared or new_client {}
  tunnels.shared = shared
  return shared
end

local function with_url(where, opts, name, method)
  local all = { url = where, method = method }
  if opts == nil then return all end
  argument.table(opts, 2, name)
  for option, value in pairs(opts) do
    if all[option] == nil then all[option] = value end
  end
  return all
end

local function add_call(name, method)
  Client[name] = function(self, where, opts)
    argument.self(self, Client, name)
    local got = where == nil and "no value" or type(where)
    argument.check(argument.is_text(where), 1, name, "URL expected, got " .. got)
    return call.run(self, with_url(where, opts, name, method), name)
  end
end

--- Sends a GET request and reads the whole response. May wait.
-- @function Client:get
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a HEAD request and reads the whole response. May wait.
-- @function Client:head
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a POST request and reads the whole response. May wait.
-- @function Client:post
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a PUT request and reads the whole response. May wait.
-- @function Client:put
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a PATCH request and reads the whole response. May wait.
-- @function Client:patch
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a DELETE request and reads the whole response. May wait.
-- @function Client:delete
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a request and reads the whole response. May wait.
-- @function Client:request
-- @tparam string|table where URL, or the options with a field `url`
-- @tparam[opt] table opts method, headers, query, body, length, json, form, multipart, redirects,
-- retries, auth, tls, proxy, max_body, timeout, check, decode, connect, allow, downgrade
-- @treturn Reply or nil, message, code

--- Sends a request and reads the head of the response; the body is the caller's to read. May
-- wait.
-- @function Client:stream
-- @tparam string|table where URL, or the options with a field `url`
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code

--- Fetches a URL into a file, which appears when it is whole. May wait.
-- @function Client:download
-- @tparam string where URL
-- @tparam string path
-- @tparam[opt] table opts those of request(), and resume, progress(bytes, total)
-- @treturn Reply or nil, message, code

for _, name in ipairs { "get", "head", "post", "put", "patch", "delete" } do
  add_call(name, name:upper())
end

-- request(url, opts) and request(opts) alike.
local function request_options(where, opts, name)
  if type(where) == "table" and opts == nil and getmetatable(where) == nil then return where end
  argument.check(argument.is_text(where), 1, name, "URL or table expected")
  return with_url(where, opts, name)
end

function Client:request(where, opts)
  argument.self(self, Client, "request")
  return call.run(self, request_options(where, opts, "request"), "request")
end

function Client:stream(where, opts)
  argument.self(self, Client, "stream")
  return call.stream(self, request_options(where, opts, "stream"), "stream")
end

function Client:download(where, path, opts)
  argument.self(self, Client, "download")
  argument.check(type(path) == "string", 2, "download", "path expected")
  return download.run(self, with_url(where, opts, "download"), path)
end

--- Figures of the pool.
-- @treturn table open, idle: connections now; made, reused: how often so far
function Client:stats()
  argument.self(self, Client, "stats")
  local pool = self.pool
  return { open = pool.open, idle = pool.count, made = pool.made, reused = pool.reused }
end

--- Closes the idle connections; those in use when their responses have been read.
function Client:close()
  argument.self(self, Client, "close")
  self.is_closed = true
  self.pool:close()
end
Client.__close = Client.close

--- Sends a GET request and reads the whole response. May wait.
-- @function get
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a HEAD request and reads the whole response. May wait.
-- @function head
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a POST request and reads the whole response. May wait.
-- @function post
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a PUT request and reads the whole response. May wait.
-- @function put
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a PATCH request and reads the whole response. May wait.
-- @function patch
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a DELETE request and reads the whole response. May wait.
-- @function delete
-- @tparam string where URL
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code; with check=true and a status from 400 on nil, message,
-- "ESTATUS", response

--- Sends a request and reads the whole response. May wait.
-- @function request
-- @tparam string|table where URL, or the options with a field `url`
-- @tparam[opt] table opts method, headers, query, body, length, json, form, multipart, redirects,
-- retries, auth, tls, proxy, max_body, timeout, check, decode, connect, allow, downgrade
-- @treturn Reply or nil, message, code

--- Sends a request and reads the head of the response; the body is the caller's to read. May
-- wait.
-- @function stream
-- @tparam string|table where URL, or the options with a field `url`
-- @tparam[opt] table opts those of request()
-- @treturn Reply or nil, message, code

--- Fetches a URL into a file, which appears when it is whole. May wait.
-- @function download
-- @tparam string where URL
-- @tparam string path
-- @tparam[opt] table opts those of request(), and resume, progress(bytes, total)
-- @treturn Reply or nil, message, code

for _, name in ipairs { "get", "head", "post", "put", "patch", "delete", "request", "stream" } do
  M[name] = function(where, opts)
    return Client[name](shared_client(), where, opts)
  end
end

function M.download(where, path, opts)
  return Client.download(shared_client(), where, path, opts)
end

--- Makes a client.
-- @tparam[opt] table opts base, headers, cookies (true, or a jar), pool {max= (idle connections in
-- all), idle_per_host= (of an origin), per_host= (in use, of an origin), idle= (seconds)},
-- version ("1.1", or "2", also without TLS), and what a request takes
-- @treturn Client
function M.client(opts)
  if opts ~= nil then
    argument.options(opts, 1, "client", CLIENT)
    pools.check(opts.pool, 1, "client")
    local version = opts.version
    argument.check(version == nil or version == "1.1" or version == "2", 1, "client",
      "option 'version' must be \"1.1\" or \"2\"")
  end
  return new_client(opts or {})
end

return M
