-- Tasks as data. The functions are in runtime/bindings/inspect/tasks.c.

return require "moonlet.inspect.tasks.core"
