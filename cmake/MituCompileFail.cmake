# mitu_compile_fail(<name> DIRECTORY <dir>)
#
# One test, <name>.<case>, for each <dir>/<case>.cpp: clang reads it with the project's warnings as errors,
# and must do what its first line says:
#
#     // refused: <what its error matches>
#     // accepted: <why>                      at least one, so that the others fail for their own reason
#
# Always clang, whatever compiles the rest: the attributes are its own (mitu/base/lifetime.hpp).

function(mitu_compile_fail name)
    cmake_parse_arguments(ARG "" "DIRECTORY" "" ${ARGN})
    find_program(MITU_CLANGXX NAMES clang++-19)
    if(NOT MITU_UNIT_TESTS OR NOT MITU_CLANGXX)
        return()
    endif()
    get_filename_component(directory "${ARG_DIRECTORY}" ABSOLUTE)
    file(GLOB files CONFIGURE_DEPENDS ${directory}/*.cpp)
    foreach(file IN LISTS files)
        get_filename_component(case ${file} NAME_WE)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
        file(STRINGS ${file} line LIMIT_COUNT 1)
        set(test ${name}.${case})
        add_test(NAME ${test}
            COMMAND ${MITU_CLANGXX} -fsyntax-only -std=c++23 -Wall -Wextra -Werror -I${CMAKE_SOURCE_DIR} ${file})
        if(line MATCHES "^// refused: (.+)$")
            set_tests_properties(${test} PROPERTIES PASS_REGULAR_EXPRESSION "error: ${CMAKE_MATCH_1}")
        elseif(NOT line MATCHES "^// accepted: ")
            message(FATAL_ERROR "${file}:1: starts with neither \"// refused: \" nor \"// accepted: \"")
        endif()
    endforeach()
endfunction()
