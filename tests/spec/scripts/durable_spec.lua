-- scripts/order_workflow.lua, mail_queue.lua, nightly.lua, and moonlet --durable.

local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local program = programs.quote(assert(os.getenv "MOONLET"))

describe("scripts/order_workflow.lua", function()
  local directory

  setup(function() directory = programs.open_directory() end)
  teardown(programs.remove_directory)
  after_each(programs.stop_all)

  it("is killed at random moments, twice at a time, and its books agree", function()
    local path = directory .. "/orders.db"
    local command = programs.command_line("order_workflow.lua", path, "-n", 6, "-l", 0.5)
    for k = 1, 4 do
      support.shell(("MOONLET_CRASH_AFTER=%d %s & MOONLET_CRASH_AT=%d %s; wait"):format(9 + 5 * k, command, 12 + 4 * k,
        command))
    end
    local output, errors, status = programs.run(command)
    assert(status == 0, output .. errors)
    assert.matches("6 orders done, 12 taken, 988 left: the books agree", output)
    local paid = {}
    for key in (support.read_file(path .. ".bank")):gmatch "([^\t\n]+)\tpay" do paid[key] = true end
    local count = 0
    for key in pairs(paid) do
      assert.matches("^order%-%d:pay$", key)
      count = count + 1
    end
    assert.equal(6, count)
  end)
end)

describe("scripts/mail_queue.lua and moonlet --durable", function()
  local directory

  setup(function() directory = programs.open_directory() end)
  teardown(programs.remove_directory)
  after_each(programs.stop_all)

  local function run(command)
    local output, errors, status = programs.run(command)
    return output .. errors, status
  end

  it("deliver, keep what failed, show it, and try it again", function()
    local path = directory .. "/mail.db"
    local function mail(...) return run(programs.command_line("mail_queue.lua", path, ...)) end
    local good, bad = mail("send", "ada@example.org", "hello"), mail("send", "x@example.invalid", "hello")
    good, bad = good:match "^%S+", bad:match "^%S+"
    local output, status = mail("work", "-1")
    assert(status == 0, output)
    assert.matches("to ada@example.org: hello", output, 1, true)
    local function durable(...)
      return run(("%s --durable %s %s"):format(program, programs.quote(path), table.concat({ ... }, " ")))
    end
    output = durable "ls"
    assert.matches("done .- mail .- " .. good:gsub("%p", "%%%0"), output)
    output = durable("ls", "failed")
    assert.matches(bad, output, 1, true)
    assert.is_nil(output:find(good, 1, true))
    output = durable("show", bad)
    assert.matches("step%s+failed%s+deliver .-no such domain %(ENOTFOUND%)", output)
    assert.equal("", (durable("retry", bad)))
    assert.matches("queued", durable "ls")
    assert.equal("", (durable("cancel", bad, "'not wanted'")))
    output, status = durable("retry", good)
    assert.matches("no such run has failed", output)
    assert.equal(1, status)
    output, status = durable "frob"
    assert.matches("^usage: moonlet %-%-durable", output)
    assert.equal(1, status)
    output, status = run(program .. " --durable " .. programs.quote(directory .. "/none.db") .. " ls")
    assert.equal(1, status)
    assert.matches("^moonlet: ", output)
    for _, words in ipairs { { "ls", "borken" }, { "ls", "failed", "many" }, { "ls", "failed", "0" },
      { "ls", "failed", "1.5" }, { "show", "nobody" }, { "retry", "nobody" }, { "cancel", "nobody" } } do
      output, status = durable(table.unpack(words))
      assert.matches("^moonlet: [^\n]*'?" .. words[#words]:gsub("%.", "%%.") .. "?[^\n]*\n$", output)
      assert.equal(1, status)
    end
  end)

  it("leave a database alone that has no durable runs, and say so", function()
    local path = directory .. "/other.db"
    assert.equal("", (support.shell(("%s -e \"require 'moonlet.sqlite'.open('%s'):execute 'CREATE TABLE mine (a)'\"")
      :format(program, path))))
    local before = support.read_file(path)
    for _, words in ipairs { "ls", "show x", "retry x", "cancel x" } do
      local output, status = support.shell(("%s --durable %s %s"):format(program, path, words))
      assert.equal("moonlet: the database has no durable runs\n", output)
      assert.equal(1, status)
    end
    assert.equal(before, support.read_file(path))
    path = directory .. "/text.db"
    programs.write_file(path, ("no database "):rep(100))
    local output, status = support.shell(("%s --durable %s ls"):format(program, path))
    assert.matches("^moonlet: [^\n]*text%.db[^\n]*\n$", output)
    assert.equal(1, status)
  end)
end)

describe("scripts/nightly.lua", function()
  it("removes what is old when its time comes", function()
    local directory = programs.open_directory()
    os.execute(("mkdir %s/d; touch %s/d/new; touch -d '40 days ago' %s/d/old"):format(directory, directory, directory))
    local nightly = programs.start(programs.command_line("nightly.lua", directory .. "/n.db", directory .. "/d",
      "* * * * *"))
    nightly:printed "waiting for '%* %* %* %* %*' in UTC"
    support.shell(("%s -e \"local d = require 'moonlet.durable'.open('%s/n.db') d:start('tidy')\""):format(program,
      directory))
    support.eventually(function() return not support.read_file(directory .. "/d/old") end)
    assert.is_truthy(support.read_file(directory .. "/d/new"))
    nightly:kill "TERM"
    nightly:wait()
    programs.stop_all()
    programs.remove_directory()
  end)
end)
