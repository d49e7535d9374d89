#include <cstdio>

#include "apps/mitu/commands.hpp"

namespace mitu::cli {

ExitCode complain(ExitCode code, const std::string& text) {
    std::fprintf(stderr, "mitu: %s\n", text.c_str());
    return code;
}

}  // namespace mitu::cli
