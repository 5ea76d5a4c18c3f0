-- What the parts of Lua cost that moonlet replaces, in stock Lua, one line of JSON each.
-- Usage: lua5.4 micro_stock.lua
package.path = (arg[0]:match("^(.*)/") or ".") .. "/lib/?.lua;" .. package.path

require("language").report(os.clock)
