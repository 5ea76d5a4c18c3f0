--- Content types by the extension of a file's name. For moonlet's own modules.
-- @module moonlet.http.types

local TEXT = "; charset=utf-8"

local types = {
  avif = "image/avif", bmp = "image/bmp", css = "text/css" .. TEXT, csv = "text/csv" .. TEXT,
  doc = "application/msword", epub = "application/epub+zip", flac = "audio/flac",
  gif = "image/gif", gz = "application/gzip", htm = "text/html" .. TEXT,
  html = "text/html" .. TEXT, ico = "image/vnd.microsoft.icon", ics = "text/calendar" .. TEXT,
  jpeg = "image/jpeg", jpg = "image/jpeg", js = "text/javascript" .. TEXT,
  json = "application/json", jsonld = "application/ld+json", lua = "text/plain" .. TEXT,
  m4a = "audio/mp4", map = "application/json", md = "text/markdown" .. TEXT,
  mjs = "text/javascript" .. TEXT, mp3 = "audio/mpeg", mp4 = "video/mp4", mpeg = "video/mpeg",
  odt = "application/vnd.oasis.opendocument.text", oga = "audio/ogg", ogg = "audio/ogg",
  ogv = "video/ogg", opus = "audio/ogg", otf = "font/otf", pdf = "application/pdf",
  png = "image/png", rss = "application/rss+xml", svg = "image/svg+xml", tar = "application/x-tar",
  tif = "image/tiff", tiff = "image/tiff", ttf = "font/ttf", txt = "text/plain" .. TEXT,
  wasm = "application/wasm", wav = "audio/wav", weba = "audio/webm", webm = "video/webm",
  webmanifest = "application/manifest+json", webp = "image/webp", woff = "font/woff",
  woff2 = "font/woff2", xhtml = "application/xhtml+xml", xml = "application/xml",
  xls = "application/vnd.ms-excel", zip = "application/zip", ["7z"] = "application/x-7z-compressed",
  zst = "application/zstd", br = "application/x-brotli",
}

--- The type of the file with that name.
-- @tparam string name
-- @tparam[opt] table more extension -> type, looked at first
return function(name, more)
  local extension = name:match "%.([^./]+)$"
  extension = extension and extension:lower()
  return extension and (more and more[extension] or types[extension]) or "application/octet-stream"
end
