--- The documentation says what is so: each Lua block of README.md and docs/*.md runs in a moonlet of its own.
--
-- `-->` in a block tells what a line prints, words separated by one space; the texts are compared with the output,
-- line by line, in whatever order the lines come. A block is only compiled if the line before it is an HTML
-- comment that says so:
--
--     <!-- only compiled: it serves for ever -->
--     ```lua
--
-- A program that ends otherwise than well says so there, and what it prints, tracebacks and all, is in the `text` block
-- after it; the program is called moonlet in it, the script script.lua:
--
--     <!-- exit status 70; it prints what follows -->
--
-- A module that other programs of the page require is a file there:
--
--     <!-- saved as chat.lua -->
--
-- The programs of a page run in a directory of their own. A block of shell commands is run there first if the line
-- before it is
--
--     <!-- run before the programs of this page -->

local support = dofile "tests/spec/support.lua"
local it, read_file = support.limited(it), support.read_file

-- The text block that follows a place in the page.
local function output_after(text, place)
  return assert(text:match("^\n```text\n(.-)```\n", place), "a program's output is missing")
end

-- The Lua blocks of a page: text, number of its first line, whether it is only compiled; exit status, and output if
-- that is not 0.
local function blocks_of(text)
  local blocks, block, before = {}, nil, ""
  local number = 0
  for line, place in text:gmatch "([^\n]*)\n()" do
    number = number + 1
    if block and line:find "^```%s*$" then
      block.text = table.concat(block.lines, "\n") .. "\n"
      if block.status ~= 0 then block.output = output_after(text, place) end
      table.insert(blocks, block)
      block = nil
    elseif block then
      table.insert(block.lines, line)
    elseif line:find "^```lua%s*$" then
      block = { lines = {}, number = number + 1, is_only_compiled = before:find "^<!%-%- only compiled" ~= nil,
        file = before:match "^<!%-%- saved as (%S+) %-%->$",
        status = tonumber(before:match "^<!%-%- exit status (%d+); it prints what follows %-%->$" or 0) }
    end
    before = line
  end
  assert(not block, "a block has no end")
  return blocks
end

local function sorted_lines(list)
  table.sort(list)
  return table.concat(list, "\n")
end

-- What the block says that it prints; nil: it says nothing.
local function promised(text)
  local lines = {}
  for said in text:gmatch "%-%-> ([^\n]*)" do lines[#lines + 1] = said end
  return #lines > 0 and sorted_lines(lines) or nil
end

local function printed(output)
  local lines = {}
  for line in output:gmatch "([^\n]*)\n" do lines[#lines + 1] = line:gsub("[\t ]+", " ") end
  return sorted_lines(lines)
end

local function save(block, directory)
  local file <close> = assert(io.open(directory .. "/" .. block.file, "w"))
  assert(file:write(block.text))
end

-- Makes the directory in which a page's programs run.
local function prepare(text)
  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute(("mkdir '%s'"):format(directory)))
  local commands = text:match "<!%-%- run before the programs of this page %-%->\n```sh\n(.-)```\n"
  if commands then
    local output, status = support.shell(("cd '%s' && set -e\n%s"):format(directory, commands))
    assert(status == 0, output)
  end
  for _, block in ipairs(blocks_of(text)) do
    if block.file then save(block, directory) end
  end
  return directory
end

local function plain(text)
  return (text:gsub("%p", "%%%0"))
end

-- Compares what a program printed that was to end otherwise than well.
local function check_output(block, output, status, path)
  assert.equal(block.status, status)
  output = output:gsub(plain(os.getenv "MOONLET"), "moonlet"):gsub(plain(path), "script.lua")
  assert.equal(block.output, output)
end

local function check(block, directory)
  assert(load(block.text, "=block"))
  if block.is_only_compiled or block.file then return end
  local command, path = support.command(block.text)
  local output, status = support.shell(("cd '%s' && %s"):format(directory, command))
  os.remove(path)
  if block.output then return check_output(block, output, status, path) end
  if status ~= 0 then error(("exit status %s: %s"):format(status, output), 0) end
  local expected = promised(block.text)
  if expected then assert.equal(expected, printed(output)) end
end

local function pages()
  local list, pipe = { "README.md" }, assert(io.popen "ls docs/*.md")
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

for _, path in ipairs(pages()) do
  describe("the code on", function()
    local text, directory = read_file(path), nil
    setup(function() directory = prepare(text) end)
    teardown(function() if directory then os.execute(("rm -r '%s'"):format(directory)) end end)
    for _, block in ipairs(blocks_of(text)) do
      it(("%s, line %d, does what the page says"):format(path, block.number), function() check(block, directory) end)
    end
  end)
end

describe("the tables of docs/coming-from.md", function()
  local modules, methods = {}, {}
  for _, name in ipairs { "task", "sync", "channel", "queue", "pool", "greenlet", "test", "net", "http", "json",
    "websocket", "fs", "process", "signal", "terminal", "thread" } do
    modules[name] = require("moonlet." .. name)
  end

  local function know_methods_of(object)
    local index = getmetatable(object).__index
    methods[#methods + 1] = type(index) == "table" and index or function(name) return object[name] end
  end

  local function has_method(name)
    for _, index in ipairs(methods) do
      if type(index) == "table" and index[name] or type(index) == "function" and index(name) then return true end
    end
    return false
  end

  -- What a handler, and a client, have to do with, all of one request.
  local function know_methods_of_http()
    local http, core = modules.http, require "moonlet.http.server.core"
    table.move({ core.request_methods, core.response_methods }, 1, 2, #methods + 1, methods)
    local app = http.router():get("/", function() return "" end)
    local server = http.server(app)
    local client <close> = http.client { base = "http://test/", connect = function()
      local near, far = modules.net.memory_pair()
      modules.task.spawn({ daemon = true }, server.serve, server, far)
      return near
    end }
    for _, object in ipairs { app, server, client, assert(client:get "/") } do know_methods_of(object) end
  end

  -- The code in the last column of each row, where the table's heading says "moonlet".
  local function snippets(text)
    local list, is_ours = {}, false
    for line in text:gmatch "([^\n]*)\n" do
      local last = line:match "^|.*|%s*(.-)%s*|$"
      if not last then
        is_ours = false
      elseif last == "moonlet" then
        is_ours = true
      elseif is_ours then
        for code in last:gmatch "`([^`]+)`" do list[#list + 1] = code end
      end
    end
    return list
  end

  local function names_exist(code)
    for module, name in code:gmatch "%f[%w](%l+)%.([%l_]+)" do
      if modules[module] and modules[module][name] == nil then return false, module .. "." .. name end
    end
    for name in code:gmatch ":([%l_]+)[%s(\"{]" do
      if not has_method(name) then return false, ":" .. name end
    end
    return true
  end

  it("name functions and methods that there are, in code that compiles", function()
    local server <close> = assert(modules.net.listen("127.0.0.1", 0))
    local conn <close> = assert(modules.net.connect(server:address()))
    local t = modules.task.spawn(function() end)
    for _, object in ipairs { server, conn, t, modules.task.group(), modules.channel.new(), modules.queue.new(),
      modules.sync.mutex(), modules.sync.semaphore(1), modules.sync.event(), modules.sync.condition(),
      modules.sync.future(), modules.greenlet.new(print), modules.pool.new { open = print } } do
      know_methods_of(object)
    end
    know_methods_of_http()
    local file <close> = assert(modules.fs.open "README.md")
    local watch <close> = assert(modules.fs.watch "README.md")
    know_methods_of(file)
    know_methods_of(watch)
    local list = snippets(read_file "docs/coming-from.md")
    assert.is_true(#list > 80)
    for _, code in ipairs(list) do
      local is_code = code == "<close>" or load(code) or load("return " .. code)
      assert(is_code, "this does not compile: " .. code)
      assert(names_exist(code), "this is not there: " .. code)
    end
    t:join()
  end)
end)
