--- The reference and the stubs for editors describe what there is: each public function of each module, each method
-- and field of each kind of object, each function of moonlet.h; and nothing else.

package.path = "tools/docs/?.lua;" .. package.path

local support = dofile "tests/spec/support.lua"
local api = require "api"
local pages = require "pages"
local stubs = require "stubs"
local it, read_file = support.limited(it), support.read_file

-- ---- what there is ----

-- Parts of other modules, which are described with those, the interactive mode, and what runs specs.
local function is_internal(name)
  return name:find "%.core$" or name:find "^moonlet%.repl" or name:find "^moonlet%.http%."
    or name:find "^moonlet%.process%." or name:find "^moonlet%.thread%." or name:find "^moonlet%.fs%."
    or name:find "^moonlet%.inspect%." or name:find "^moonlet%.worker%." or name:find "^moonlet%.sql%."
    or name:find "^moonlet%.durable%." or name:find "^moonlet%.redis%." or name:find "^moonlet%.postgres%."
    or name == "moonlet.argument" or name == "moonlet.named" or name == "moonlet.serving"
    or name == "moonlet.test.specs" or name:find "^moonlet%.inspector%."
end

-- moonlet.inspect loads a function when it is first asked for.
local function load_parts(module)
  local _, parts = debug.getupvalue(getmetatable(module).__index, 1)
  for name in pairs(parts) do local _ = module[name] end
end

local function real_modules()
  local modules = {}
  load_parts(require "moonlet.inspect")
  require("moonlet.sqlite").open(":memory:"):close() -- its class is made then
  for name in pairs(package.preload) do
    if name:find "^moonlet" and not is_internal(name) then modules[name] = require(name) end
  end
  return modules
end

-- A name in the reference that is not the one by which the objects print.
local DOCUMENTED_AS = { ["net.tls"] = "Context", ["thread.channel"] = "ThreadChannel",
  ["signal.listener"] = "Signals", ["postgres.database"] = "PostgresDatabase",
  ["postgres.copy_writer"] = "CopyWriter", ["postgres.copy_reader"] = "CopyReader" }

-- The methods of a metatable. Where __index is a C function it has them as its upvalue.
local function methods_of(metatable)
  local index, methods = rawget(metatable, "__index"), {}
  if type(index) == "function" then index = select(2, debug.getupvalue(index, 1)) end
  for name, method in pairs(type(index) == "table" and index or {}) do
    if type(method) == "function" and not name:find "^__" then methods[name] = method end
  end
  return methods
end

-- Calls see() with each table that can be reached from a value, upvalues of functions included.
local function walk(value, see, seen)
  if type(value) ~= "table" and type(value) ~= "function" or seen[value] then return end
  seen[value] = true
  if type(value) == "table" then
    see(value)
    for _, item in next, value do walk(item, see, seen) end
    return
  end
  local i, name, upvalue = 1, debug.getupvalue(value, 1)
  while name do
    if name ~= "_ENV" then walk(upvalue, see, seen) end
    i = i + 1
    name, upvalue = debug.getupvalue(value, i)
  end
end

-- Every metatable of ours that has methods, by the name in the reference: those of C are in the registry, those of
-- Lua are reached from the modules' functions.
local function real_classes(modules)
  local classes = {}
  local function see(value)
    local name = rawget(value, "__name")
    local first, last = tostring(name):match "^%l+", tostring(name):match "[^.]+$"
    if not (first == "moonlet" or modules["moonlet." .. tostring(first)]) then return end
    local class = DOCUMENTED_AS[name] or last
    for method, fn in pairs(methods_of(value)) do -- engines have classes of one name
      classes[class] = classes[class] or {}
      classes[class][method] = fn
    end
  end
  local seen = {}
  for _, module in pairs(modules) do walk(module, see, seen) end
  for _, value in pairs(debug.getregistry()) do
    if type(value) == "table" then see(value) end
  end
  return classes
end

-- "net.connect" and "stream:read" -> the function.
local function real_names()
  local modules, names = real_modules(), {}
  for module_name, module in pairs(modules) do
    for name, value in pairs(module) do
      if modules[module_name .. "." .. name] == nil then names[module_name:match "[^.]+$" .. "." .. name] = value end
    end
  end
  for class, methods in pairs(real_classes(modules)) do
    for name, method in pairs(methods) do names[class:lower() .. ":" .. name] = method end
  end
  return names
end

-- ---- what is described ----

-- The same names -> whether there is a text.
local function described_names(modules)
  local names = {}
  for _, module in ipairs(modules) do
    local prefix = module.name:match "[^.]+$" .. "."
    for _, list in ipairs { module.functions, module.values } do
      for _, item in ipairs(list) do names[prefix .. item.name] = item.text ~= "" end
    end
    for _, object in ipairs(module.objects) do
      for _, item in ipairs(object.methods) do names[object.name:lower() .. ":" .. item.name] = item.text ~= "" end
    end
  end
  return names
end

local function difference(names, others)
  local missing = {}
  for name in pairs(names) do
    if not others[name] then table.insert(missing, name) end
  end
  table.sort(missing)
  return missing
end

local has_ldoc = os.execute "command -v ldoc >/dev/null"

describe("the reference", function()
  if not has_ldoc then
    pending "needs LDoc (Debian: lua-ldoc)"
    return
  end
  local modules = api.modules()

  it("describes every public function and method, and nothing that is not there", function()
    local real, described = real_names(), described_names(modules)
    assert.same({}, difference(real, described))
    assert.same({}, difference(described, real))
    local count = 0
    for _ in pairs(described) do count = count + 1 end
    assert.is_true(count > 130, count)
  end)

  it("misses a function that nobody has described", function()
    require "moonlet.task".planted = print
    local missing = difference(real_names(), described_names(modules))
    require "moonlet.task".planted = nil
    assert.same({ "task.planted" }, missing)
  end)

  it("misses a method that nobody has described", function()
    local methods = debug.getregistry()["net.stream"].__index
    methods.planted = print
    local missing = difference(real_names(), described_names(modules))
    methods.planted = nil
    assert.same({ "stream:planted" }, missing)
  end)

  it("has a page with a heading for each of them", function()
    local text = {}
    for _, page in ipairs(pages.of_modules(modules)) do table.insert(text, page.text) end
    text = table.concat(text)
    for name in pairs(real_names()) do
      local heading = name:gsub("%l", "[%0%%u]"):gsub("%.", "%%.")
      assert(text:find("\n### `" .. heading .. "[(`]"), name)
    end
  end)

  -- What a field of a request, of its answer, and of the client's reply is.
  local function http_examples()
    local http, net, task = require "moonlet.http", require "moonlet.net", require "moonlet.task"
    local here <close>, there = net.pair()
    local request, response, part = {}, {}, nil
    local server = http.server(function(req, res)
      for _, name in ipairs { "method", "target", "path", "query", "version", "scheme", "host", "params", "headers",
        "locals" } do request[name] = req[name] end
      response.headers = res.headers
      part = req:parts()()
      return "body"
    end)
    local serving = task.spawn(server.serve, server, there)
    local opts = { multipart = { a = "1" }, connect = function() return here end }
    local reply = assert(http.post("http://a.example/", opts))
    here:close()
    serving:join()
    return request, response, reply, part
  end

  it("describes fields that the objects have", function()
    local task, greenlet = require "moonlet.task", require "moonlet.greenlet"
    local listener <close> = require "moonlet.net".listen("127.0.0.1", 0)
    local examples = { Task = task.current(), Greenlet = greenlet.new(print, greenlet.current()),
      Address = listener:address(), Lease = { value = 1 }, Url = require "moonlet.url".parse "",
      Context = { id = "x" }, Durable = { db = "x" }, DurableRun = { id = "x" },
      Statement = { sql = "x" }, Bus = { id = 1 }, file = { path = "x" }, directory = { path = "x" } }
    local child <close> = assert(require "moonlet.process".spawn { "true" })
    child:wait()
    examples.Process = child
    examples.InspectListener = require("moonlet.thread").call(function() -- it ends with its thread
      local place = assert(require("moonlet.inspect").listen "127.0.0.1:0")
      return { address = place.address, url = place.url }
    end)
    examples.Request, examples.Response, examples.Reply, examples.Part = http_examples()
    for _, module in ipairs(modules) do
      for _, object in ipairs(module.objects) do
        for _, field in ipairs(object.parameters) do
          local is_there = examples[object.name][field.name] ~= nil or field.type:find "^%?"
          assert(is_there, object.name .. "." .. field.name)
        end
      end
    end
  end)

  it("is what the stubs say, too: `make stubs` writes them anew", function()
    for _, stub in ipairs(stubs.of(modules)) do
      assert.equal(stub.text, read_file("stubs/" .. stub.path), stub.path)
    end
  end)
end)

describe("the stubs for editors", function()
  it("know what functions that are given are called with, which was `nil`", function()
    local text = read_file "stubs/moonlet/http.lua"
    assert.matches("fun%(request: moonlet.http.Request, response: moonlet.http.Response%)", text)
    local pipe <close> = assert(io.popen "ls stubs/moonlet/*.lua")
    for name in pipe:lines() do
      assert.is_nil(read_file(name):find("fun%([^()]*: nil%)"), name)
    end
  end)

  -- The functions of all stubs: name -> list of parameters.
  local function stub_functions()
    local names = {}
    for name in pairs(real_modules()) do
      local text = read_file("stubs/" .. name:gsub("%.", "/") .. ".lua")
      assert(load(text))()
      for owner, separator, method, parameters in text:gmatch "\nfunction (%w+)([.:])([%w_]+)(%b())" do
        names[(separator == ":" and owner:lower() or owner) .. separator .. method] = parameters
      end
      for value in text:gmatch "\n(%w+%.%w+) = " do names[value] = "" end
    end
    return names
  end

  it("have every public function and method, and no others", function()
    local real, stubbed = real_names(), stub_functions()
    assert.same({}, difference(real, stubbed))
    assert.same({}, difference(stubbed, real))
  end)

  it("have the parameters of the functions written in Lua", function()
    local stubbed, count = stub_functions(), 0
    for name, value in pairs(real_names()) do
      local info = type(value) == "function" and debug.getinfo(value, "Su")
      -- moonlet.redis wraps its methods: function(self, ...).
      local is_wrapped = name:find "^redis:" and info and info.nparams == 1 and info.isvararg
      if info and info.what == "Lua" and not is_wrapped then
        local _, commas = stubbed[name]:gsub("[%w_]+", "")
        local self = name:find ":" and 1 or 0
        assert.equal(info.nparams, commas + self, name)
        assert.equal(info.isvararg, stubbed[name]:find("...", 1, true) ~= nil, name)
        count = count + 1
      end
    end
    assert.is_true(count > 20, count)
  end)
end)

describe("the C reference", function()
  local header = read_file "runtime/moonlet.h"

  -- Functions of a header that have no heading in the reference, or no text.
  local function undescribed(text)
    local missing = {}
    for name in text:gmatch "\nMOONLET_API [^;(]-(moonlet_[%w_]+)%(" do missing[name] = true end
    local paragraphs = api.header(text)
    local page = pages.of_header(paragraphs)
    for _, paragraph in ipairs(paragraphs) do
      for _, name in ipairs(paragraph.functions) do
        if paragraph.text ~= "" and page:find("\n### " .. name .. " ", 1, true) then missing[name] = nil end
      end
    end
    return difference(missing, {})
  end

  it("describes every function of moonlet.h", function()
    local _, count = header:gsub("\nMOONLET_API ", "")
    assert.is_true(count >= 40, count)
    assert.same({}, undescribed(header))
  end)

  it("misses a function that nobody has described", function()
    local planted = header:gsub("\n#ifdef __cplusplus\n}", "\nMOONLET_API int moonlet_planted(void);\n%0")
    assert.same({ "moonlet_planted" }, undescribed(planted))
  end)
end)
