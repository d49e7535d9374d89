# Run at build time by mitu_embed_directory(): lists DIRECTORY and writes OUTPUT, a C++ file whose
# assembler block holds the bytes of every file, their paths, and a table sorted by path.
string(REPLACE "|" ";" globs "${PATTERNS}")
list(TRANSFORM globs PREPEND "${DIRECTORY}/")
file(GLOB_RECURSE files RELATIVE "${DIRECTORY}" LIST_DIRECTORIES false ${globs})
list(REMOVE_DUPLICATES files)
list(SORT files COMPARE STRING)  # byte order: EmbeddedDirectory searches by halves

set(data "")
set(table "")
set(index 0)
set(symbol "mitu_embedded_${NAME}")
foreach(file IN LISTS files)
    if(file MATCHES "[\"\\\\;]")
        message(FATAL_ERROR "${DIRECTORY}/${file}: a quote, backslash or semicolon in the name cannot be embedded; rename it")
    endif()
    # Offsets from the start of the block: no relocations, so nothing to do at load time. The byte
    # after each file is zero, for readers that want a C string.
    string(APPEND data
        ".L${symbol}_p${index}: .ascii \"${file}\"\n"
        ".L${symbol}_d${index}: .incbin \"${DIRECTORY}/${file}\"\n"
        ".L${symbol}_e${index}: .byte 0\n")
    string(APPEND table
        ".long .L${symbol}_p${index} - ${symbol}_data, .L${symbol}_d${index} - .L${symbol}_p${index}, "
        ".L${symbol}_d${index} - ${symbol}_data, .L${symbol}_e${index} - .L${symbol}_d${index}\n")
    math(EXPR index "${index} + 1")
endforeach()

file(WRITE "${OUTPUT}" "// Written by mitu_embed_directory().
#include \"embedded/${NAME}.hpp\"

#pragma GCC diagnostic ignored \"-Woverlength-strings\"
__asm__(R\"MITU(
.pushsection .rodata
.balign 16
.hidden ${symbol}_data
.global ${symbol}_data
${symbol}_data:
${data}.balign 16
.hidden ${symbol}_table
.global ${symbol}_table
${symbol}_table:
${table}.long 0
.popsection
)MITU\");

extern \"C\" {
extern const unsigned char ${symbol}_data[];
extern const mitu::EmbeddedFileRecord ${symbol}_table[];
}

namespace mitu::embedded {
const EmbeddedDirectory& ${NAME}() noexcept {
    static constexpr EmbeddedDirectory directory{${symbol}_data, ${symbol}_table, ${index}};
    return directory;
}
}  // namespace mitu::embedded
")
