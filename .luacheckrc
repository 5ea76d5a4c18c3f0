std = "lua54"
max_line_length = 100
exclude_files = { "build" }

-- A variable that is only closed is used: this luacheck does not know <close>.
local only_closed = { "211/.*" }

files["tools"] = { max_line_length = 120, ignore = only_closed }
files["tests"] = { max_line_length = 120, ignore = only_closed }
files["tests/spec"] = { std = "+busted", max_line_length = 120, ignore = only_closed }

-- Programs that show what the language does with odd code.
files["tests/conformance"] = { max_line_length = false, ignore = { "1..", "2..", "311", "5.." } }
