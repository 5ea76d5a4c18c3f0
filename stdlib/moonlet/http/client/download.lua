--- Downloads into files, which go on where they were cut. For moonlet's own modules.
-- @module moonlet.http.client.download

local error, rawget, tonumber, type = error, rawget, tonumber, type

local call = require "moonlet.http.client.call"
local file = require "moonlet.http.client.file"
local new_headers = require("moonlet.http.headers").new
local options = require "moonlet.http.client.options"
local task = require "moonlet.task"

local download = {}

local function validator_of(headers)
  local etag = headers.etag
  if etag and not etag:find "^W/" then return etag end
  return headers["last-modified"]
end

-- The options of the request for what is missing.
local function request_for(opts, have, validator)
  local request = options.merged(opts, { decode = false })
  request.progress, request.resume = nil, nil
  if have > 0 then
    local headers = new_headers(opts.headers)
    headers.range, headers["if-range"] = ("bytes=%d-"):format(have), validator
    request.headers = headers
  end
  return request
end

-- Bytes that are there already and those of the whole (nil: not known); or nil, message, code.
local function measure(response, have)
  local range = response.headers["content-range"] or ""
  local first, total = range:match "^bytes (%d+)%-%d+/(%d+)$"
  if response.status == 206 and tonumber(first) ~= have then
    return nil, "the server sent another range than it was asked for", "EPROTO"
  end
  if response.status == 200 then have, total = 0, response.length or nil end
  return have, tonumber(total)
end

-- Counts what comes, and tells `progress`.
local function counted(response, book, progress)
  local next_chunk = response:chunks()
  return function()
    local piece = next_chunk()
    if piece then
      book.sum = book.sum + #piece
      if progress then progress(book.sum, book.total) end
    end
    return piece
  end
end

--- As Client:download(). `path.part` has what came so far, `path.part.tag` the validator that it
-- belongs to.
function download.run(client, opts, path)
  local part, tag, resume = path .. ".part", path .. ".part.tag", opts.resume
  local have, known = file.size(part), file.read(tag)
  if not resume or not known or have == 0 then have = 0 end
  local request = request_for(opts, have, known)
  local response <close>, message, code, failed = call.stream(client, request, "download")
  if not response then return nil, message, code, failed end
  if response.status ~= 200 and response.status ~= 206 then
    return nil, ("%s answered %d"):format(response.url, response.status), "ESTATUS", response
  end
  local first, total, why = measure(response, have)
  if not first then return nil, total, why end
  local validator = validator_of(response.headers)
  file.remove(tag)
  if resume and validator then file.put(tag, validator) end
  local book = { sum = first, total = total }
  local chunks = counted(response, book, opts.progress)
  local ok, size, problem, number = task.pcall(file.save_chunks, part, first > 0 and "ab" or "wb",
    chunks)
  if ok and size and (not total or book.sum == total) then
    file.remove(tag)
    local done, reason, errno = file.rename(part, path)
    if not done then return nil, reason, errno end
    return response
  end
  if not (resume and validator) then file.remove(part) end
  if not ok then
    if type(size) == "table" and rawget(size, "code") then return nil, size.message, size.code end
    error(size, 0)
  end
  if not size then return nil, problem, number end
  return nil, "the body ended short", "EEOF"
end

return download
