# mitu_embed_directory(<target> NAME <name> DIRECTORY <dir> [PATTERNS *.yaml ...] [DEPENDS ...])
#
# Makes the static library <target> that carries every file below <dir> (or those whose names match
# PATTERNS), reached through the generated header "embedded/<name>.hpp":
#
#     const mitu::EmbeddedDirectory& mitu::embedded::<name>();
#
# The files go through the assembler's .incbin: they are copied, not compiled, so that a thousand of
# them cost nothing. A file that changes, comes or goes rebuilds the object (CONFIGURE_DEPENDS).
# DEPENDS: for a directory that another build step writes (the console): what that step puts out.
# DIRECTORY is then listed when the step has run.

function(mitu_embed_directory target)
    cmake_parse_arguments(ARG "" "NAME;DIRECTORY" "PATTERNS;DEPENDS" ${ARGN})
    if(NOT ARG_NAME MATCHES "^[a-z][a-z0-9_]*$")
        message(FATAL_ERROR "mitu_embed_directory: NAME is \"${ARG_NAME}\"; use a C++ name in lower case")
    endif()
    set(script ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/MituEmbedWrite.cmake)
    if(NOT ARG_PATTERNS)
        set(ARG_PATTERNS "*")
    endif()
    get_filename_component(directory "${ARG_DIRECTORY}" ABSOLUTE)
    set(globs ${ARG_PATTERNS})
    list(TRANSFORM globs PREPEND "${directory}/")
    file(GLOB_RECURSE files CONFIGURE_DEPENDS LIST_DIRECTORIES false ${globs})
    list(SORT files)

    set(out ${CMAKE_BINARY_DIR}/embedded)
    # The list is a dependency of its own: a file that goes away changes no time stamp of the others.
    string(REPLACE ";" "\n" list_text "${files}")
    file(GENERATE OUTPUT ${out}/${ARG_NAME}.list CONTENT "${list_text}\n")
    file(GENERATE OUTPUT ${out}/${ARG_NAME}.hpp CONTENT "#pragma once
// Written by mitu_embed_directory().
#include \"mitu/base/embedded_files.hpp\"

namespace mitu::embedded {
/// Lifetime  the process. Threading  immutable.
[[nodiscard]] const EmbeddedDirectory& ${ARG_NAME}() noexcept;
}  // namespace mitu::embedded
")

    string(REPLACE ";" "|" patterns "${ARG_PATTERNS}")
    add_custom_command(
        OUTPUT ${out}/${ARG_NAME}.cpp
        COMMAND ${CMAKE_COMMAND} -D NAME=${ARG_NAME} -D DIRECTORY=${directory} -D "PATTERNS=${patterns}"
                -D OUTPUT=${out}/${ARG_NAME}.cpp -P ${script}
        DEPENDS ${files} ${ARG_DEPENDS} ${out}/${ARG_NAME}.list ${script}
        COMMENT "Embedding ${ARG_NAME}" VERBATIM)
    add_library(${target} STATIC ${out}/${ARG_NAME}.cpp)
    target_link_libraries(${target} PUBLIC mitu_base)
endfunction()
