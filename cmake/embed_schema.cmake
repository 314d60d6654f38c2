# Writes a C file with the store's migrations (src/store/schema/NNN_name.sql) as byte arrays: an SQL file may hold any text of
# any length, which string literals may not. Called by CMakeLists.txt with SCHEMA_FILES and OUTPUT.
function(hone_embed_schema output)
  set(arrays "")
  set(rows "")
  set(expected 0)
  list(SORT ARGN)
  foreach(file IN LISTS ARGN)
    get_filename_component(name ${file} NAME_WE)
    math(EXPR expected "${expected} + 1")
    if(NOT name MATCHES "^0*${expected}_")
      message(FATAL_ERROR "${file}: migrations are numbered without gaps; number ${expected} is expected here")
    endif()
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
    string(APPEND arrays "static const char sql_${expected}[] = {${bytes}0};\n")
    string(APPEND rows "    {${expected}, \"${name}\", sql_${expected}},\n")
  endforeach()
  file(CONFIGURE OUTPUT ${output} CONTENT
"/* Generated from src/store/schema by cmake/embed_schema.cmake. */
#include \"store/migrate.h\"
${arrays}
const hn_migration hn_migrations[] = {
${rows}};
const int hn_n_migrations = ${expected};
" @ONLY)
endfunction()
