#include "bench/disk_probe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <vector>

#include "bench/process_sample.hpp"

namespace mitu::bench {
namespace {

constexpr std::size_t append_bytes = 4'096;

}  // namespace

Result<void, std::string> probe_disk(const std::string& folder, Duration duration,
                                     LatencyHistogram& latency) {
    const std::string path = folder + "/mitu-bench-probe";
    const auto failed = [&](const char* what) {
        return std::unexpected(path + ": " + what + ": " + std::generic_category().message(errno));
    };
    const int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return failed("open");
    const std::vector<char> bytes(append_bytes, 'x');
    Result<void, std::string> done;
    const Instant end = monotonic_now() + duration;
    for (Instant begin = monotonic_now(); begin < end && done; begin = monotonic_now()) {
        if (::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
            done = failed("write");
        } else if (::fdatasync(file) != 0) {
            done = failed("fdatasync");
        }
        latency.record((monotonic_now() - begin).count_ns());
    }
    ::close(file);
    ::unlink(path.c_str());
    return done;
}

std::uint64_t syncs_in(const std::string& counts_file) {
    std::ifstream file{counts_file, std::ios::binary};
    std::uint64_t count = 0;
    file.read(reinterpret_cast<char*>(&count), sizeof count);
    return file ? count : 0;
}

}  // namespace mitu::bench
