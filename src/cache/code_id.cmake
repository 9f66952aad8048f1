# Writes FILE: the digest of the sources in ROOT that decide over facts and layers, so that what one build found
# is not taken for what another would find.
file(GLOB_RECURSE sources ${ROOT}/layers/*.cc ${ROOT}/layers/*.h ${ROOT}/src/*.cc ${ROOT}/src/*.h)
list(SORT sources)
set(all "")
foreach(source IN LISTS sources)
  file(SHA256 ${source} digest)
  file(RELATIVE_PATH name ${ROOT} ${source})
  string(APPEND all "${name} ${digest}\n")
endforeach()
string(SHA256 id "${all}")
file(WRITE ${FILE}.new "// Made by code_id.cmake.\n#include \"src/cache/code_id.h\"\n\nnamespace imgslim {\n\nstd::string_view code_id() {\n  return \"${id}\";\n}\n\n}  // namespace imgslim\n")
execute_process(COMMAND ${CMAKE_COMMAND} -E copy_if_different ${FILE}.new ${FILE})
file(REMOVE ${FILE}.new)
