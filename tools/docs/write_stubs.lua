-- Writes stubs/ anew, after a change of doc comments: `make stubs`.
package.path = "tools/docs/?.lua;" .. package.path

for _, stub in ipairs(require "stubs".of(require "api".modules())) do
  local file <close> = assert(io.open("stubs/" .. stub.path, "w"))
  assert(file:write(stub.text))
end
