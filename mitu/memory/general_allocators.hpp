#pragma once
// The allocators that benchmarks compare with: glibc's, and those of libraries if they are
// installed.

#include <dlfcn.h>

#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

namespace mitu::memory {

struct GeneralAllocator {
    std::string name;
    void* (*allocate)(std::size_t);
    void (*free)(void*);
};

inline std::vector<GeneralAllocator> general_allocators() {
    std::vector<GeneralAllocator> all{{"glibc", std::malloc, std::free}};
    const auto add = [&](const char* name, const char* library, const char* prefix) {
        void* const handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) return;
        const std::string begin{prefix};
        all.push_back(
            {name,
             reinterpret_cast<void* (*)(std::size_t)>(::dlsym(handle, (begin + "_malloc").c_str())),
             reinterpret_cast<void (*)(void*)>(::dlsym(handle, (begin + "_free").c_str()))});
    };
    add("tcmalloc", "libtcmalloc_minimal.so.4", "tc");
    add("mimalloc", "libmimalloc.so.2.0", "mi");
    return all;
}

}  // namespace mitu::memory
