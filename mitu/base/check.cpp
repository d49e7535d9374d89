#include "mitu/base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace mitu {

void check_failed(const char* file, int line, const char* condition, const char* detail) noexcept {
    std::fprintf(stderr, "%s:%d: CHECK failed: %s %s\n", file, line, condition, detail);
    std::abort();
}

}  // namespace mitu
