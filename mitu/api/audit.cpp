#include "mitu/api/audit.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "mitu/api/text.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::api {
namespace {

constexpr std::size_t text_bytes_max = 256;

std::string cut(const std::string& text) { return text.substr(0, text_bytes_max); }

}  // namespace

std::string to_json(const AuditEntry& entry) {
    nlohmann::ordered_json what = nlohmann::ordered_json::object();
    for (const auto& [name, value] : entry.what) what[name] = cut(value);
    const nlohmann::ordered_json line{{"time", time_text(entry.when)},
                                      {"who", cut(entry.who)},
                                      {"via", entry.via},
                                      {"from", entry.from},
                                      {"operation", entry.operation},
                                      {"what", std::move(what)},
                                      {"status", entry.status},
                                      {"code", entry.code}};
    // Cut in the middle of a character, or not UTF-8 from the start: replaced, never thrown at.
    return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Result<std::unique_ptr<AuditFile>, std::string> AuditFile::open(AuditFileOptions options) {
    std::unique_ptr<AuditFile> file{new AuditFile{std::move(options)}};
    const MutexLock lock{file->mutex_};
    if (file->open_file()) return file;
    return std::unexpected(fmt::format("audit log {}: {}; name a file that can be written",
                                       file->options_.path, std::strerror(errno)));
}

AuditFile::~AuditFile() {
    if (file_ >= 0) ::close(file_);
}

bool AuditFile::open_file() {
    file_ = ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                   S_IRUSR | S_IWUSR);
    if (file_ < 0) return false;
    struct stat there{};
    bytes_ = ::fstat(file_, &there) == 0 ? static_cast<std::uint64_t>(there.st_size) : 0;
    return true;
}

void AuditFile::rotate() {
    ::close(file_);
    file_ = -1;
    const auto name = [&](std::uint32_t i) {
        return i == 0 ? options_.path : fmt::format("{}.{}", options_.path, i);
    };
    for (std::uint32_t i = options_.files_max - 1; i > 0; --i) {
        std::rename(name(i - 1).c_str(), name(i).c_str());
    }
    if (options_.files_max <= 1) std::remove(options_.path.c_str());
}

void AuditFile::record(const AuditEntry& entry) {
    const std::string line = to_json(entry) + "\n";
    const MutexLock lock{mutex_};
    if (file_ >= 0 && bytes_ != 0 && bytes_ + line.size() > options_.bytes_max) rotate();
    if (file_ < 0 && !open_file()) {
        trace::log(trace::Level::error, "audit_lost",
                   {{"file", options_.path}, {"reason", std::strerror(errno)}});
        return;
    }
    // In one write, so that a line is there whole whoever else appends.
    const ssize_t written = ::write(file_, line.data(), line.size());
    if (written == static_cast<ssize_t>(line.size())) {
        bytes_ += line.size();
        return;
    }
    trace::log(trace::Level::error, "audit_lost",
               {{"file", options_.path},
                {"reason", written < 0 ? std::strerror(errno) : "written in part"}});
}

}  // namespace mitu::api
