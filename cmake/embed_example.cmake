# Writes a C file with the example project as byte arrays, so that `hone init --example tickets` needs nothing but the program.
# hone_embed_example(OUTPUT ROOT FILE...): the files' names in the program are relative to ROOT.
function(hone_embed_example output root)
  set(arrays "")
  set(rows "")
  set(n 0)
  list(SORT ARGN)
  foreach(file IN LISTS ARGN)
    file(RELATIVE_PATH name ${root} ${file})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} hex HEX)
    # One string literal: compilers take seconds and a gigabyte for as many numbers in braces.
    string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${hex}")
    string(APPEND arrays "static const unsigned char file_${n}[] = \"${bytes}\";\n")
    string(APPEND rows "    {\"${name}\", file_${n}, sizeof file_${n} - 1},\n")
    math(EXPR n "${n} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${output} CONTENT
"/* Generated from examples/tickets by cmake/embed_example.cmake. */
#include \"project/init.h\"
${arrays}
const hn_example_file hn_example_tickets[] = {
${rows}    {0, 0, 0}};
" @ONLY)
endfunction()
