# SPDX-License-Identifier: Apache-2.0
# Debian's cross compiler for IMGSLIM_TRIPLET against the packages unpacked in IMGSLIM_SYSROOT; for build beside it.
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES IMGSLIM_TRIPLET IMGSLIM_SYSROOT)
set(CMAKE_SYSTEM_NAME Linux)
string(REGEX REPLACE "-.*" "" CMAKE_SYSTEM_PROCESSOR ${IMGSLIM_TRIPLET})
set(CMAKE_CXX_COMPILER ${IMGSLIM_TRIPLET}-g++-12)
set(CMAKE_LIBRARY_ARCHITECTURE ${IMGSLIM_TRIPLET})
set(CMAKE_SYSROOT ${IMGSLIM_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# The compiler looks for the C++ library beside itself: headers, code and what is linked are of the same packages.
set(include ${IMGSLIM_SYSROOT}/usr/include)
set(CMAKE_CXX_FLAGS_INIT
  "-nostdinc++ -isystem ${include}/c++/12 -isystem ${include}/${IMGSLIM_TRIPLET}/c++/12 -isystem ${include}/c++/12/backward")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-L${IMGSLIM_SYSROOT}/usr/lib/gcc/${IMGSLIM_TRIPLET}/12")
