#include "mitu/runtime/service_manager.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "mitu/runtime/unique_fd.hpp"

namespace mitu::runtime {
namespace {

void tell(std::string_view words) noexcept {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
    const std::size_t size = std::strlen(path);
    sockaddr_un to{};
    if (size >= sizeof to.sun_path) return;
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path, size);
    if (path[0] == '@') to.sun_path[0] = '\0';  // a name that is no file
    const UniqueFd fd{socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (!fd.is_open()) return;
    ::sendto(fd.get(), words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
             reinterpret_cast<const sockaddr*>(&to),
             static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size));
}

}  // namespace

bool has_service_manager() noexcept { return std::getenv("NOTIFY_SOCKET") != nullptr; }

namespace {

/// In front of what else is said. Shape  one line.
void tell_status(std::string words, std::string_view status) noexcept {
    words += "STATUS=";
    for (const char c : status) words += c == '\n' ? ' ' : c;
    tell(words);
}

}  // namespace

void notify_ready(std::string_view status) noexcept { tell_status("READY=1\n", status); }
void notify_status(std::string_view status) noexcept { tell_status({}, status); }

void notify_reloading() noexcept {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                     std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000));
}

void notify_stopping() noexcept { tell("STOPPING=1"); }

}  // namespace mitu::runtime
