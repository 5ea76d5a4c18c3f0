# Writes the Lua files named in LIST (relative to ROOT) as C arrays to OUTPUT.
# Bytes are written as numbers: no escape, no string length limit, any content.
# Each array ends with a zero that its size does not count. Lines that are comments ("-- text") are
# left out but for their ends: lines keep their numbers. So is the indentation, in files where no text
# goes over several lines.

cmake_minimum_required(VERSION 3.22)

file(READ ${LIST} files)
set(arrays "")
set(entries "")
set(index 0)
foreach(file IN LISTS files)
  string(REGEX REPLACE "\\.lua$" "" name ${file})
  string(REPLACE "/" "." name ${name})
  file(READ ${ROOT}/${file} bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "0x0a,(0x20,)*0x2d,0x2d,(0x2d,)?0x20,(0x0[^a],|0x[^0].,)*" "0x0a,"
    bytes "${bytes}")
  if(NOT bytes MATCHES "0x5b,(0x3d,)*0x5b,|0x5c,0x0a,")
    string(REGEX REPLACE "0x0a,(0x20,)+" "0x0a," bytes "${bytes}")
  endif()
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 5")
  # Sixteen bytes a line; CMake has no {n}, and a compiler may choke on one endless line.
  string(REPEAT "....." 16 line)
  string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
  string(APPEND arrays
    "/* ${file} */\nstatic const unsigned char module_${index}[] = {\n${bytes}0x00};\n\n")
  string(APPEND entries
    "    {\"${name}\", (const char *)module_${index}, ${size}},\n")
  math(EXPR index "${index} + 1")
endforeach()

file(WRITE ${OUTPUT}
  "/* Generated from stdlib by cmake/embed_stdlib.cmake. */\n"
  "#include \"vm/stdlib.h\"\n\n#include <stddef.h>\n\n"
  "${arrays}"
  "const struct ml_stdlib_module ml_stdlib_modules[] = {\n${entries}    {NULL, NULL, 0},\n};\n")
