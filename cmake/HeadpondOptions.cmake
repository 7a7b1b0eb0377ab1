# Compiler, warnings, sanitizers.
set(HEADPOND_SANITIZE "" CACHE STRING "address,undefined or thread; empty for none")
# Every x86-64 server since 2013; simdjson and XXH3 choose their vector code at compile time.
set(HEADPOND_MARCH "x86-64-v3" CACHE STRING "-march for all of Headpond")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(headpond_options INTERFACE)
target_compile_options(headpond_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror -fno-omit-frame-pointer)
target_include_directories(headpond_options INTERFACE "${CMAKE_SOURCE_DIR}/src")
add_compile_options(-march=${HEADPOND_MARCH} -fPIC)
if(HEADPOND_SANITIZE)
  add_compile_options(-fsanitize=${HEADPOND_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HEADPOND_SANITIZE})
endif()
