// mitu-count-syncs.so: preloaded into a broker (LD_PRELOAD), counts what it asks of its disk. The
// count is the first eight bytes of the file that MITU_SYNC_COUNTS names; mitu-bench reads them
// (--sync-counts). The same for every broker, at the cost of one addition a call.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace {

using Count = std::atomic<std::uint64_t>;
using Call = int (*)(int);
static_assert(Count::is_always_lock_free && sizeof(Count) == sizeof(std::uint64_t));

Count fallback;  // nobody reads it

Count* open_count() noexcept {
    const char* const path = std::getenv("MITU_SYNC_COUNTS");  // tidy-allow(environment): preloaded
    if (path == nullptr) return &fallback;
    const int file = ::open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return &fallback;
    void* memory = MAP_FAILED;
    if (::ftruncate(file, sizeof(Count)) == 0) {
        memory = ::mmap(nullptr, sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    ::close(file);
    return memory == MAP_FAILED ? &fallback : static_cast<Count*>(memory);
}

int counted(const char* name, int file) noexcept {
    static Count* const count = open_count();
    count->fetch_add(1, std::memory_order_relaxed);
    return reinterpret_cast<Call>(::dlsym(RTLD_NEXT, name))(file);
}

}  // namespace

extern "C" {
int fsync(int file) { return counted("fsync", file); }
int fdatasync(int file) { return counted("fdatasync", file); }
}
