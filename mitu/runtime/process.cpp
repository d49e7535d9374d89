#include "mitu/runtime/process.hpp"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace mitu::runtime {
namespace {

OpenFilesLimit read_limit(std::uint64_t wanted) {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    return {limit.rlim_cur, limit.rlim_max, wanted};
}

bool set_limit(std::uint64_t soft, std::uint64_t hard) {
    const rlimit limit{soft, hard};
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool read_affinity(cpu_set_t& cores) noexcept {
    CPU_ZERO(&cores);
    return sched_getaffinity(0, sizeof cores, &cores) == 0;
}

}  // namespace

OpenFilesLimit raise_open_files_limit(std::uint64_t wanted) {
    const OpenFilesLimit before = read_limit(wanted);
    if (before.is_enough()) return before;
    // Beyond the hard limit needs a privilege; without it the hard limit is what there is.
    if (wanted <= before.hard || !set_limit(wanted, wanted)) {
        set_limit(std::min(wanted, before.hard), before.hard);
    }
    return read_limit(wanted);
}

std::uint64_t resident_bytes() {
    std::FILE* const file = std::fopen("/proc/self/statm", "re");
    if (file == nullptr) return 0;
    unsigned long long pages_mapped = 0;
    unsigned long long pages_resident = 0;
    const int fields = std::fscanf(file, "%llu %llu", &pages_mapped, &pages_resident);
    std::fclose(file);
    return fields == 2 ? pages_resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

bool is_debugged() {
    std::FILE* const file = std::fopen("/proc/self/status", "re");
    if (file == nullptr) return false;
    char line[256];
    int tracer = 0;
    while (std::fgets(line, sizeof line, file) != nullptr) {
        if (std::sscanf(line, "TracerPid: %d", &tracer) == 1) break;
    }
    std::fclose(file);
    return tracer != 0;
}

std::size_t usable_cores() {
    cpu_set_t cores;
    return read_affinity(cores) ? static_cast<std::size_t>(std::max(CPU_COUNT(&cores), 1)) : 1;
}

bool pin_thread_to_core(std::size_t index) noexcept {
    cpu_set_t cores;
    if (!read_affinity(cores) || CPU_COUNT(&cores) == 0) return false;
    std::size_t left = index % static_cast<std::size_t>(CPU_COUNT(&cores));
    for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
        if (!CPU_ISSET(core, &cores)) continue;
        if (left-- > 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        return pthread_setaffinity_np(pthread_self(), sizeof one, &one) == 0;
    }
    return false;
}

void name_thread(const std::string& name) noexcept {
    char kept[16] = {};  // the kernel's TASK_COMM_LEN
    std::copy_n(name.data(), std::min(name.size(), sizeof kept - 1), kept);
    pthread_setname_np(pthread_self(), kept);
}

}  // namespace mitu::runtime
