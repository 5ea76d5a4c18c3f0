--- moonlet.http: res:file and http.files: ranges, conditions, variants, and paths that try to leave the root.

local support = dofile "tests/spec/support.lua"
local carriers = dofile "tests/spec/http/carriers.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

-- A directory of a test's own: dir(path) is a path in it.
local function with_tree(body)
  local root = os.tmpname()
  os.remove(root)
  os.execute(("mkdir -p %s/site/sub %s/site/.secret %s/site/.well-known"):format(root, root, root))
  local guard <close> = -- luacheck: ignore 211
    setmetatable({}, { __close = function() os.execute("rm -rf " .. root) end })
  write(root .. "/outside", "outside")
  write(root .. "/site/a.txt", "0123456789")
  write(root .. "/site/empty", "")
  write(root .. "/site/index.html", "<p>index")
  write(root .. "/site/sub/index.html", "<p>sub")
  write(root .. "/site/.hidden", "hidden")
  write(root .. "/site/.secret/x", "hidden")
  write(root .. "/site/.well-known/x", "known")
  write(root .. "/site/a b%.html", "odd")
  os.execute(("cd %s/site && ln -s a.txt inside && ln -s ../outside link && ln -s .. up && "
    .. "ln -s %s/outside absolute && ln -s /proc/self/root magic && mkfifo fifo && ln -s fifo to_fifo && "
    .. "ln -s loop loop && ln -s sub to_sub"):format(root, root))
  body(root .. "/site", root)
end

local function get(ask, handler, path, headers, method)
  return assert(ask(handler, { path = path, headers = headers, method = method }))
end

describe("res:file", function()
  carriers.each(it, "sends a file with its type and validators", function(ask)
    with_tree(function(root)
      local reply = get(ask, function(_, res) return res:file(root .. "/a.txt") end)
      assert.same({ 200, "0123456789", "10", "text/plain; charset=utf-8", "bytes" }, { reply.status, reply.body,
        reply.headers["content-length"], reply.headers["content-type"], reply.headers["accept-ranges"] })
      assert.matches('^"[%x.]+%-a"$', reply.headers.etag)
      assert.matches("^%a+, %d%d %a+ %d+ %d%d:%d%d:%d%d GMT$", reply.headers["last-modified"])
      reply = get(ask, function(_, res) return res:file(root .. "/a.txt") end, "/", {}, "HEAD")
      assert.same({ 200, "", "10" }, { reply.status, reply.body, reply.headers["content-length"] })
      assert.equal("", get(ask, function(_, res) return res:file(root .. "/empty") end).body)
    end)
  end)

  carriers.each(it, "sends large ones, also parts of them", function(ask)
    with_tree(function(root)
      local big = ("0123456789abcdef"):rep(20000)
      write(root .. "/big", big)
      local function handler(_, res) return res:file(root .. "/big") end
      assert.is_true(get(ask, handler).body == big)
      assert.is_true(get(ask, handler, "/", { Range = "bytes=100001-250000" }).body == big:sub(100002, 250001))
    end)
  end)

  carriers.each(it, "heeds Range", function(ask)
    with_tree(function(root)
      local function range(field, method)
        local reply = get(ask, function(_, res) return res:file(root .. "/a.txt") end, "/", { Range = field }, method)
        return { reply.status, reply.headers["content-range"], reply.body }
      end
      assert.same({ 206, "bytes 0-0/10", "0" }, range "bytes=0-0")
      assert.same({ 206, "bytes 2-4/10", "234" }, range "bytes=2-4")
      assert.same({ 206, "bytes 2-4/10", "234" }, range "BYTES= 2-4")
      assert.same({ 206, "bytes 7-9/10", "789" }, range "bytes=7-")
      assert.same({ 206, "bytes 7-9/10", "789" }, range "bytes=-3")
      assert.same({ 206, "bytes 0-9/10", "0123456789" }, range "bytes=-30")
      assert.same({ 206, "bytes 0-9/10", "0123456789" }, range "bytes=0-99999999999999999999999")
      assert.same({ 206, "bytes 9-9/10", "9" }, range "bytes=,9-9,20-,")
      for _, field in ipairs { "bytes=10-", "bytes=-0", "bytes=99999999999999999999-", "bytes=10-11,20-" } do
        assert.same({ 416, "bytes */10" }, { table.unpack(range(field), 1, 2) })
      end
      for _, field in ipairs { "bytes=4-2", "bytes=a-b", "bytes=-", "bytes=", "bytes", "bytes=1", "lines=0-1",
        "bytes=1-2-3", "bytes=0x1-2", "bytes=+1-2", "bytes=0-1,x", "bytes=0-5,0-5", "bytes=" .. ("0-0,"):rep(17) } do
        assert.same({ 200, nil, "0123456789" }, range(field))
      end
      assert.equal(200, range("bytes=0-0", "HEAD")[1])
    end)
  end)

  carriers.each(it, "sends several ranges as multipart/byteranges", function(ask)
    with_tree(function(root)
      local function handler(_, res) return res:file(root .. "/a.txt") end
      local reply = get(ask, handler, "/", { Range = "bytes=0-1, -2,50-" })
      local mark = reply.headers["content-type"]:match "^multipart/byteranges; boundary=(%w+)$"
      assert.equal(206, reply.status)
      assert.is_nil(reply.headers["content-range"])
      assert.equal(tostring(#reply.body), reply.headers["content-length"])
      local function head(range)
        local form = "--%s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-range: bytes %s/10\r\n\r\n"
        return form:format(mark, range)
      end
      assert.equal(head "0-1" .. "01\r\n" .. head "8-9" .. "89\r\n--" .. mark .. "--\r\n", reply.body)
    end)
  end)

  carriers.each(it, "heeds the conditions, in the order of RFC 9110", function(ask)
    with_tree(function(root)
      local function handler(_, res) return res:file(root .. "/a.txt") end
      local function status(headers, method) return get(ask, handler, "/", headers, method).status end
      local first = get(ask, handler)
      local tag, date = first.headers.etag, first.headers["last-modified"]
      local past, future = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 2137 08:49:37 GMT"
      assert.equal(304, status { ["If-None-Match"] = tag })
      assert.equal(304, status({ ["If-None-Match"] = tag }, "HEAD"))
      assert.equal(304, status { ["If-None-Match"] = '"x", W/' .. tag })
      assert.equal(304, status { ["If-None-Match"] = "*" })
      assert.equal(412, status({ ["If-None-Match"] = "*" }, "POST"))
      assert.equal(200, status { ["If-None-Match"] = '"x"' })
      assert.equal(200, status { ["If-None-Match"] = '"x"', ["If-Modified-Since"] = date })
      assert.equal(304, status { ["If-Modified-Since"] = date })
      assert.equal(304, status { ["If-Modified-Since"] = future })
      assert.equal(200, status { ["If-Modified-Since"] = past })
      assert.equal(200, status { ["If-Modified-Since"] = "nonsense" })
      assert.equal(200, status({ ["If-Modified-Since"] = date }, "POST"))
      assert.equal(200, status { ["If-Match"] = tag })
      assert.equal(200, status { ["If-Match"] = "*" })
      assert.equal(412, status { ["If-Match"] = '"x"' })
      assert.equal(412, status { ["If-Match"] = "W/" .. tag })
      assert.equal(412, status { ["If-Unmodified-Since"] = past })
      assert.equal(200, status { ["If-Unmodified-Since"] = date })
      local reply = get(ask, handler, "/", { ["If-None-Match"] = tag })
      assert.same({ tag, date, "", nil }, { reply.headers.etag, reply.headers["last-modified"], reply.body,
        reply.headers["content-type"] })
    end)
  end)

  carriers.each(it, "heeds Range only if If-Range holds", function(ask)
    with_tree(function(root)
      local function handler(_, res) return res:file(root .. "/a.txt") end
      local first = get(ask, handler)
      local tag, date = first.headers.etag, first.headers["last-modified"]
      local cases = {
        [tag] = 206, [date] = 206, ["W/" .. tag] = 200, ['"x"'] = 200, ["Sun, 06 Nov 1994 08:49:37 GMT"] = 200, x = 200,
      }
      for validator, status in pairs(cases) do
        assert.equal(status, get(ask, handler, "/", { Range = "bytes=0-1", ["If-Range"] = validator }).status)
      end
    end)
  end)

  carriers.each(it, "leaves the status and fields that are set, and names downloads", function(ask)
    with_tree(function(root)
      local reply = get(ask, function(_, res)
        res.status = 404
        res.headers["content-type"] = "x/y"
        return res:file(root .. "/a.txt")
      end, "/", { Range = "bytes=0-1" })
      assert.same({ 404, "x/y", "0123456789" }, { reply.status, reply.headers["content-type"], reply.body })
      reply = get(ask, function(_, res)
        return res:file(root .. "/a.txt", { download = "\xc3\xa4\"\r\n.txt", type = "a/b", max_age = 60 })
      end)
      assert.same({ "attachment; filename=\"_____.txt\"; filename*=UTF-8''%C3%A4%22%0D%0A.txt", "a/b", "max-age=60" },
        { reply.headers["content-disposition"], reply.headers["content-type"], reply.headers["cache-control"] })
    end)
  end)

  it("says why it cannot, and what it does not take", function()
    with_tree(function(root, above)
      carriers.memory(function(_, res)
        local function code(path, opts) return (select(3, res:file(path, opts))) end
        assert.equal("ENOENT", code(root .. "/none"))
        assert.equal("EISDIR", code(root))
        assert.equal("EACCES", code(root .. "/fifo"))
        assert.equal("EACCES", code "/dev/null")
        assert.equal("EXDEV", code("../outside", { root = root }))
        assert.equal("EXDEV", code("link", { root = root }))
        assert.equal("EXDEV", code(above .. "/outside", { root = root }))
        assert.is_false((pcall(res.file, res, "a\0b")))
        assert.is_false((pcall(res.file, res, nil)))
        assert.is_false((pcall(res.file, res, "a", { x = 1 })))
        assert.is_true(res:file("sub/../inside", { root = root }))
      end)
    end)
  end)

  it("cuts the answer off if the file shrinks while it is sent", function()
    with_tree(function(root)
      write(root .. "/big", ("x"):rep(8 * 1024 * 1024))
      local here <close>, there = net.pair()
      local server = http.server({ on_error = function() end }, function(_, res)
        assert(res:file(root .. "/big"))
        write(root .. "/big", "short")
      end)
      local serving = task.spawn(server.serve, server, there)
      here:write "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      local head = here:read_until "\r\n\r\n"
      assert.truthy(head:find "content%-length: 8388608")
      local body = here:read_all()
      assert.is_true(body == nil or #body < 8388608)
      here:close()
      serving:join()
    end)
  end)
end)

describe("http.files", function()
  carriers.each(it, "serves files and indexes, redirects to directories, and nothing else", function(ask)
    with_tree(function(root)
      local handler = http.files(root)
      local function try(path, method)
        local reply = get(ask, handler, path, {}, method)
        return { reply.status, reply.body, reply.headers.location }
      end
      assert.same({ 200, "<p>index" }, try "/")
      assert.same({ 200, "<p>sub" }, try "/sub/")
      assert.same({ 301, "", "./sub/?q=1" }, try "/sub?q=1")
      assert.same({ 200, "0123456789" }, try "/a.txt?x")
      assert.same({ 200, "odd" }, try "/a%20b%25.html")
      assert.same({ 200, "0123456789" }, try "/inside")
      assert.same({ 200, "<p>sub" }, try "/to_sub/index.html")
      assert.same({ 200, "known" }, try "/.well-known/x")
      assert.same({ 200, "" }, try("/a.txt", "HEAD"))
      assert.equal(405, try("/a.txt", "POST")[1])
      assert.equal(204, try("/a.txt", "OPTIONS")[1])
    end)
  end)

  carriers.each(it, "leads nowhere outside of the root", function(ask)
    with_tree(function(root)
      local handler = http.files(root, { listing = true })
      for _, path in ipairs { "/../outside", "/%2e%2e/outside", "/%2E./outside", "/sub/../../outside", "/..%2foutside",
        "/sub/..%2f..%2foutside", "/%2e%2e%2foutside", "//outside", "/sub//index.html", "//", "/./a.txt", "/%2e/a.txt",
        "/a.txt%00", "/a.txt%00.html", "/%00", "/a.txt/", "/a.txt/x", "/none", "/none/", "/link", "/up/outside", "/up/",
        "/up", "/absolute", "/magic/etc/passwd", "/magic/", "/fifo", "/to_fifo", "/loop", "/.hidden", "/%2ehidden",
        "/.secret/x", "/.secret/", "/sub/.well-known", "/%", "/%zz", "/sub%2findex.html", "/..", "/../",
        "/" .. ("a"):rep(300),
        "/..\\outside", "/.../outside", "/%c0%ae%c0%ae/outside" } do
        local reply = get(ask, handler, path)
        assert.is_true(reply.status == 404 or reply.status == 400, path .. ": " .. reply.status)
        assert.is_nil(reply.body:find "outside", path)
      end
    end)
  end)

  -- The handler keeps its directory open, and a file of some size that was sent a moment ago is not looked at again.
  carriers.each(it, "sees at once what has become of a file, and of the directory", function(ask)
    with_tree(function(root, above)
      local handler = http.files(root)
      local function answer() return get(ask, handler, "/f").body end
      for i = 1, 3 do
        local text = ("%07d\n"):format(i):rep(8192)
        write(root .. "/f", text)
        assert.is_true(answer() == text)
        assert.is_true(answer() == text)
      end
      write(root .. "/new", "renamed")
      os.rename(root .. "/new", root .. "/f")
      assert.equal("renamed", answer())
      os.remove(root .. "/f")
      assert.equal(404, get(ask, handler, "/f").status)
      os.execute(("mkdir %s/next && echo next > %s/next/f && mv %s %s/old && mv %s/next %s"):format(above, above, root,
        above, above, root))
      assert.equal("next\n", answer())
      os.execute(("mkdir %s/linked && echo linked > %s/linked/f && mv %s %s/older && ln -s linked %s"):format(above,
        above, root, above, root))
      assert.equal("linked\n", answer())
      os.execute(("ln -sfn old %s && echo old > %s/old/f"):format(root, above))
      assert.equal("old\n", answer())
      os.remove(root)
      assert.equal(500, get(ask, handler, "/f").status)
      os.execute(("ln -s linked %s"):format(root))
      assert.equal("linked\n", answer())
    end)
  end)

  carriers.each(it, "lists directories only if asked, and escapes names", function(ask)
    with_tree(function(root)
      os.execute("rm " .. root .. "/index.html; touch '" .. root .. "/<b>&\".txt'")
      assert.equal(404, get(ask, http.files(root), "/").status)
      local reply = get(ask, http.files(root, { listing = true }), "/")
      assert.same({ 200, "text/html; charset=utf-8" }, { reply.status, reply.headers["content-type"] })
      assert.truthy(reply.body:find('<a href="./%3Cb%3E%26%22.txt">&lt;b&gt;&amp;&quot;.txt</a>', 1, true))
      assert.truthy(reply.body:find('<a href="./sub/">sub/</a>', 1, true))
      for _, name in ipairs { "hidden", "secret", ">fifo<" } do
        assert.is_nil(reply.body:find(name, 1, true))
      end
      assert.equal(200, get(ask, http.files(root, { hidden = true }), "/.hidden").status)
      assert.equal(404, get(ask, http.files(root, { index = false }), "/sub/").status)
    end)
  end)

  carriers.each(it, "sends coded variants to those that take them", function(ask)
    with_tree(function(root)
      write(root .. "/a.txt.gz", "gz")
      write(root .. "/a.txt.br", "brotli")
      local function coded(field, path)
        local reply = get(ask, http.files(root), path or "/a.txt", { ["Accept-Encoding"] = field })
        return { reply.body, reply.headers["content-encoding"], reply.headers["content-type"], reply.headers.vary }
      end
      local kind, vary = "text/plain; charset=utf-8", "accept-encoding"
      assert.same({ "0123456789", nil, kind, vary }, coded(nil))
      assert.same({ "0123456789", nil, kind, vary }, coded "deflate")
      assert.same({ "gz", "gzip", kind, vary }, coded "gzip")
      assert.same({ "brotli", "br", kind, vary }, coded "gzip, br")
      assert.same({ "gz", "gzip", kind, vary }, coded "br;q=0.5, gzip;q=0.8")
      assert.same({ "gz", "gzip", kind, vary }, coded "br;q=0, *")
      os.execute("rm " .. root .. "/a.txt.br; touch -d '1 hour ago' " .. root .. "/a.txt.gz")
      assert.same({ "0123456789", nil, kind, vary }, coded "gzip, br")
      local handler = http.files(root, { precompressed = false })
      assert.is_nil(get(ask, handler, "/a.txt", { ["Accept-Encoding"] = "gzip" }).headers.vary)
    end)
  end)

  carriers.each(it, "is mounted by routers", function(ask)
    with_tree(function(root)
      local router = http.router():static("/assets", root)
      assert.equal("0123456789", get(ask, router, "/assets/a.txt").body)
      assert.equal("./assets/", get(ask, router, "/assets").headers.location)
      assert.equal("<p>index", get(ask, router, "/assets/").body)
      assert.equal(404, get(ask, router, "/assetsa.txt").status)
      assert.equal(404, get(ask, router, "/assets/../a.txt").status)
    end)
  end)

  it("sees what the directory has become", function()
    with_tree(function(root, above)
      local handler = http.files(above .. "/site")
      os.execute(("mv %s/site %s/old && mkdir %s/site && echo new > %s/site/a.txt"):format(above, above, above, above))
      assert.equal("new\n", get(carriers.memory, handler, "/a.txt").body)
      os.execute("rm -r " .. above .. "/site")
      assert.equal(500, get(carriers.memory, handler, "/a.txt").status)
      assert.truthy(root)
    end)
  end)

  it("raises without such a directory, and for options that it does not know", function()
    assert.is_false((pcall(http.files, "/nowhere/at/all")))
    assert.is_false((pcall(http.files, "/dev/null")))
    assert.is_false((pcall(http.files, nil)))
    assert.is_false((pcall(http.files, "/tmp", { lists = true })))
    assert.is_false((pcall(http.files, "/tmp\0x")))
  end)
end)

describe("a disk", function()
  local core = require "moonlet.http.files.core"

  -- Whether another task ran while fn did.
  local function lets_others_run(fn, ...)
    local ran = false
    local other = task.spawn(function() ran = true end)
    local result, _, code = fn(...)
    local seen = ran
    other:join()
    return seen, result, code
  end

  it("holds up no other task: what is not in memory is asked of a worker", function()
    local directory = os.tmpname()
    os.remove(directory)
    assert(os.execute(("mkdir -p %s/below && echo text > %s/a"):format(directory, directory)))
    local root = assert(core.root(directory))
    local ran, names = lets_others_run(core.list, root, "")
    assert.is_true(ran)
    table.sort(names)
    assert.same({ "../", "./", "a", "below/" }, names)
    local plain, file = lets_others_run(core.open, root, "a", true)
    assert.is_true(plain)
    file:close()
    local by_path, code = select(2, lets_others_run(core.open, nil, directory .. "/below"))
    assert.is_nil(by_path)
    assert.equal("EISDIR", code)
    root:close()
    assert.equal("EBADF", select(3, core.open(root, "a")))
    assert.equal("EBADF", select(3, core.list(root, "")))
    os.execute("rm -r " .. directory)
  end)
end)
