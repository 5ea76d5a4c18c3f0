--- The example programs about tasks that work together, each run as its reader would.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local programs = dofile "tests/spec/programs.lua"
local net = require "moonlet.net"
local task = require "moonlet.task"

local run_script, start, command_line = programs.run_script, programs.start, programs.command_line

describe("scripts about tasks", function()
  setup(programs.open_directory)
  after_each(programs.stop_all)
  teardown(programs.remove_directory)

  it("print their usage and exit 1 when the arguments are wrong", function()
    local wrong = { { "dining_philosophers.lua", "1" }, { "dining_philosophers.lua", "-x" },
      { "prime_sieve.lua", "0" }, { "prime_sieve.lua", "1", "2" }, { "producer_consumer.lua", "many" },
      { "producer_consumer.lua", "1", "2", "3", "4", "5" }, { "crawler.lua" }, { "crawler.lua", "-n", "10" },
      { "crawler.lua", "-z", "1", "http://localhost/" }, { "crawler.lua", "http://a/", "http://b/" } }
    programs.refuse_words(nil, wrong)
  end)

  describe("dining_philosophers", function()
    it("lets everybody eat, neighbours never at the same time", function()
      local output, errors, status = run_script("dining_philosophers.lua", 7, 5)
      assert.equal("", errors)
      assert.equal(0, status)
      assert.equal(7, select(2, output:gsub("\n +%d+ +5 +[%d.]+ +[%d.]+", "")))
      assert.is_true(tonumber(output:match "\n35 meals, at most (%d) at once\n$") <= 3)
    end)

    it("are told of the deadlock when they are greedy", function()
      local _, errors, status = run_script("dining_philosophers.lua", "-g", 4)
      assert.equal(70, status)
      assert.match("deadlock: 5 tasks", errors)
      assert.match("task 'philosopher 3' %(#4%) waits for a mutex held by task #5", errors)
    end)
  end)

  describe("prime_sieve", function()
    it("finds primes through a chain of 1,000 channels", function()
      local output, errors, status = run_script "prime_sieve.lua"
      assert.equal(0, status)
      assert.match("^2 3 5 7 11 13 17 19 23 29\n31 ", output)
      assert.match(" 7907 7919\n$", output)
      assert.match("^1000 primes, 517383 numbers handed over, [%d.]+ s\n$", errors)
    end)
  end)

  describe("producer_consumer", function()
    -- How many items each producer has had worked off; an error if one is missing in between or came twice.
    local function count_items(output)
      local seen, counts = {}, {}
      for item, producer in output:gmatch "consumer %d+: item (%d+) of producer (%d+)\n" do
        assert.is_nil(seen[producer .. " " .. item])
        seen[producer .. " " .. item] = true
        counts[producer] = (counts[producer] or 0) + 1
      end
      for producer, count in pairs(counts) do
        for i = 1, count do assert.is_true(seen[producer .. " " .. i]) end
      end
      return counts
    end

    it("works off every item once", function()
      local output, errors, status = run_script("producer_consumer.lua", 3, 4, 10, 2)
      assert.equal("", errors)
      assert.equal(0, status)
      assert.same({ ["1"] = 10, ["2"] = 10, ["3"] = 10 }, count_items(output))
      assert.match("\n30 put, 30 worked off, 0 lost\n$", output)
    end)

    it("works off what is in the queue after Ctrl-C", function()
      local program = start(command_line("producer_consumer.lua", 4, 2, 100000, 50))
      program:printed "consumer 2: item"
      program:kill "INT"
      assert.equal(130, program:wait())
      assert.equal("", program:errors())
      local output = program:output()
      local put, done = output:match "\n(%d+) put, (%d+) worked off, 0 lost\n$"
      assert.equal(put, done)
      local total = 0
      for _, count in pairs(count_items(output)) do total = total + count end
      assert.equal(tonumber(done), total)
    end)
  end)

  describe("crawler", function()
    -- Serves pages: path -> what to send after the status line's version, or a function(conn). Returns the
    -- listener, and a table: how often each path was asked for, how many at once at most.
    local function site(pages)
      local listener = assert(net.listen("127.0.0.1", 0))
      local seen, busy = { most = 0 }, 0
      local function serve(accepted)
        local conn <close> = accepted
        local path = conn:read_line():match "^GET (%S+) HTTP/1.1$"
        repeat local line = conn:read_line() until not line or line == ""
        seen[path] = (seen[path] or 0) + 1
        busy = busy + 1
        seen.now, seen.most = busy, math.max(seen.most, busy)
        local page = pages[path] or "404 Not Found\r\n\r\n"
        if type(page) == "function" then page(conn, seen) else conn:write("HTTP/1.0 ", page) end
        busy = busy - 1
      end
      task.spawn(function()
        for conn in listener:accepted() do task.spawn({ quiet = true }, serve, conn) end
      end)
      return listener, seen
    end

    local function html(text)
      return "200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" .. text
    end

    -- Runs the crawler while our tasks serve it.
    local function crawl(...)
      local program = start(command_line("crawler.lua", ...))
      local status = program:wait()
      assert.equal("", program:errors())
      return program:output(), status
    end

    it("follows each link once, wherever it is written", function()
      local listener <close>, seen = site {
        ["/"] = html [[<a href="a/">1</a><A class=x HREF='a'>2</A><a href=/b?x=1&amp;y=2#top>3</a>
          <a id=here href="../../a/./b/../">4</a><a href="#top">5</a><a href="mailto:x@example.org">6</a>
          <!-- <a href="/secret">7</a> --><a name=x>8</a><abbr href="/abbr">9</abbr><a href="two words">0</a>
          <a href="{ü}">umlaut</a>]],
        ["/a/"] = html '<a href="?page=2">next</a><a href="c">c</a><a href="//localhost:1/">elsewhere</a>',
        ["/a"] = "302 Found\r\nLocation: /a/\r\n\r\nmoved",
        ["/b?x=1&y=2"] = html "", ["/a/?page=2"] = html "", ["/two%20words"] = html "",
        ["/%7B%C3%BC%7D"] = html "",
        ["/a/c"] = "200 OK\r\nContent-Type: image/png\r\nContent-Length: 3\r\n\r\n<a href=/png>",
      }
      local output, status = crawl("http://" .. tostring(listener:address()))
      assert.same({ most = seen.most, now = seen.now, ["/"] = 1, ["/a/"] = 1, ["/a"] = 1, ["/b?x=1&y=2"] = 1,
        ["/a/?page=2"] = 1, ["/a/c"] = 1, ["/two%20words"] = 1,
        ["/%7B%C3%BC%7D"] = 1 }, seen)
      assert.match("\n8 pages, 0 failed, %d+ bytes, [%d.]+ s\n$", output)
      assert.match("\n +302 +5 +%d+ +0  %S+/a\n", output)
      assert.equal(0, status)
    end)

    it("stays within its limits", function()
      local function busy_page(conn, seen)
        support.eventually(function() return seen.most == 3 end)
        conn:write("HTTP/1.0 ", html "")
      end
      local links, pages = {}, {}
      for i = 1, 20 do
        links[i] = ("<a href=%d>"):format(i)
        pages["/" .. i] = busy_page
      end
      pages["/"] = html(table.concat(links))
      local listener <close>, seen = site(pages)
      local output, status = crawl("-n", 12, "-p", 3, "http://" .. tostring(listener:address()) .. "/")
      assert.equal(3, seen.most)
      assert.match("\n12 pages, 0 failed", output)
      assert.equal(0, status)
    end)

    it("goes to other hosts when it is told to", function()
      local other <close>, seen = site { ["/x"] = html "" }
      local listener <close> = site { ["/"] = html("<a href=http://" .. tostring(other:address()) .. "/x>") }
      crawl("http://" .. tostring(listener:address()))
      assert.is_nil(seen["/x"])
      local output = crawl("-a", "-c", 1, "http://" .. tostring(listener:address()))
      assert.equal(1, seen["/x"])
      assert.match("\n2 pages, 0 failed", output)
    end)

    it("goes on after pages that fail, and waits no longer than it was told", function()
      local listener <close> = site {
        ["/"] = html "<a href=silent></a><a href=missing></a><a href=short></a><a href=rubbish></a>",
        ["/silent"] = function(conn) conn:read_all() end,
        ["/short"] = "200 OK\r\nContent-Length: 10\r\n\r\n12345",
        ["/rubbish"] = function(conn) conn:write "220 mail.example ESMTP\r\n" end,
      }
      local output, status = crawl("-t", 1, "http://" .. tostring(listener:address()))
      assert.match("/silent: deadline passed\n", output)
      assert.match("\n +404 +0 +%d+ +0  %S+/missing\n", output)
      assert.match("/short: the connection ended before the response was whole\n", output)
      assert.match("/rubbish: bad response: [^\n]*\n", output)
      assert.match("\n5 pages, 4 failed", output)
      assert.equal(1, status)
    end)
  end)
end)
