#include "mitu/runtime/unix_listener.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

namespace mitu::runtime {
namespace {

constexpr std::size_t path_bytes_max = sizeof(sockaddr_un::sun_path) - 1;

std::unexpected<std::string> refuse(const std::string& path, std::string_view why) {
    return std::unexpected(fmt::format("cannot listen on unix:{}: {}", path, why));
}

std::string error_text(int error) { return std::generic_category().message(error); }

sockaddr_un to_socket_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

UniqueFd open_socket() {
    return UniqueFd{socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
}

std::optional<std::uint32_t> to_number(const std::string& text) {
    std::uint32_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
    return number;
}

constexpr std::uint32_t keep_id = static_cast<std::uint32_t>(-1);  // for chown(2)

/// nullopt: nobody has that name.
std::optional<std::uint32_t> find_user(const std::string& name) {
    if (name.empty()) return keep_id;
    if (const auto number = to_number(name)) return number;
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(16'384);
    getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    return found == nullptr ? std::nullopt : std::optional<std::uint32_t>{found->pw_uid};
}

std::optional<std::uint32_t> find_group(const std::string& name) {
    if (name.empty()) return keep_id;
    if (const auto number = to_number(name)) return number;
    group entry{};
    group* found = nullptr;
    std::vector<char> buffer(65'536);
    getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    return found == nullptr ? std::nullopt : std::optional<std::uint32_t>{found->gr_gid};
}

/// Takes away what a server that is gone has left. Empty: the path is free now.
std::string free_path(const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT ? "" : error_text(errno);
    if (!S_ISSOCK(status.st_mode)) {
        return "a file that is no socket is in its place; move it away or use another path";
    }
    const UniqueFd probe = open_socket();
    const sockaddr_un to = to_socket_address(path);
    const int result = connect(probe.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
    // EAGAIN: there is a server, and its queue is full.
    if (result == 0 || errno == EAGAIN) {
        return "another process listens there: stop it or use another path";
    }
    if (errno != ECONNREFUSED && errno != ENOENT) return error_text(errno);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return error_text(errno);
    return {};
}

}  // namespace

Result<ListenAddress, std::string> parse_unix_address(std::string_view path) {
    const auto refuse_path = [&](std::string_view why) {
        return std::unexpected(
            fmt::format("address `unix:{}`: {}; write it as unix:/run/mitu/mqtt.sock", path, why));
    };
    if (!path.starts_with('/') || path.ends_with('/')) {
        return refuse_path("the path must begin with / and name a file");
    }
    if (path.find('\0') != std::string_view::npos) return refuse_path("it has a zero byte");
    if (path.size() > path_bytes_max) {
        return refuse_path(fmt::format("the path has {} bytes; the kernel takes {} at most",
                                       path.size(), path_bytes_max));
    }
    ListenAddress address;
    address.path = path;
    return address;
}

Result<Listeners, std::string> listen_on_unix(const std::string& path, std::size_t count,
                                              const UnixSocketOptions& options) {
    if (path.size() > path_bytes_max) return refuse(path, "the path is too long");
    if (options.mode > 0777) {
        return refuse(path, fmt::format("the mode is {:o}; use 0..777", options.mode));
    }
    const auto owner = find_user(options.owner);
    if (!owner) return refuse(path, fmt::format("there is no user `{}`", options.owner));
    const auto group = find_group(options.group);
    if (!group) return refuse(path, fmt::format("there is no group `{}`", options.group));
    if (const std::string problem = free_path(path); !problem.empty()) {
        return refuse(path, problem);
    }

    UniqueFd fd = open_socket();
    if (!fd.is_open()) return refuse(path, error_text(errno));
    const sockaddr_un to = to_socket_address(path);
    // Nobody may connect before owner and mode are what they shall be: bind() makes the file with
    // the mode of the socket's inode, so that no umask of the process has to change.
    if (fchmod(fd.get(), 0) != 0 ||
        bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
        const int error = errno;
        return refuse(path, fmt::format("{}{}", error_text(error),
                                        error == ENOENT ? "; make its directory first" : ""));
    }
    const auto undo = [&](std::string_view why) {
        ::unlink(path.c_str());
        return refuse(path, why);
    };
    if ((*owner != keep_id || *group != keep_id) && chown(path.c_str(), *owner, *group) != 0) {
        return undo(fmt::format("its owner cannot be set ({}); start as root, or as that user",
                                error_text(errno)));
    }
    // Listening comes before the mode: who may connect finds somebody.
    if (listen(fd.get(), listen_backlog) != 0 || chmod(path.c_str(), options.mode) != 0) {
        return undo(error_text(errno));
    }
    Listeners listeners;
    for (std::size_t i = 1; i < count; ++i) {
        UniqueFd copy{fcntl(fd.get(), F_DUPFD_CLOEXEC, 0)};
        if (!copy.is_open()) return undo(error_text(errno));
        listeners.sockets.push_back(std::move(copy));
    }
    if (count > 0) listeners.sockets.push_back(std::move(fd));
    return listeners;
}

}  // namespace mitu::runtime
