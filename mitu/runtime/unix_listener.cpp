#include "mitu/runtime/unix_listener.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>

#include "mitu/runtime/account.hpp"

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

constexpr std::uint32_t keep_id = static_cast<std::uint32_t>(-1);  // for chown(2)

struct Owner {
    std::uint32_t uid = keep_id;
    std::uint32_t gid = keep_id;
};

/// An owner without a group brings its own.
Result<Owner, std::string> find_owner(const UnixSocketOptions& options) {
    Owner owner;
    if (!options.owner.empty()) {
        const auto uid = find_uid(options.owner);
        if (!uid) return std::unexpected(fmt::format("there is no user `{}`", options.owner));
        owner.uid = *uid;
        if (const auto account = find_account(options.owner, {})) owner.gid = account->gid;
    }
    if (!options.group.empty()) {
        const auto gid = find_gid(options.group);
        if (!gid) return std::unexpected(fmt::format("there is no group `{}`", options.group));
        owner.gid = *gid;
    }
    return owner;
}

/// Owner and mode of the socket at `path` and of nothing else: who may write to its directory could
/// have put a link in its place, and root would give him what that leads to.
/// Shape  empty: done.
std::string set_owner(const UniqueFd& file, const Owner& owner) {
    if (owner.uid == keep_id && owner.gid == keep_id) return {};
    if (fchownat(file.get(), "", owner.uid, owner.gid, AT_EMPTY_PATH) == 0) return {};
    return fmt::format("its owner cannot be set ({}); start as root, or as that user",
                       error_text(errno));
}

bool set_mode(const UniqueFd& file, std::uint32_t mode) {
    // fchmod() refuses an O_PATH descriptor; its name in /proc leads to that very file.
    return chmod(fmt::format("/proc/self/fd/{}", file.get()).c_str(), mode) == 0;
}

bool is_socket(const UniqueFd& file) {
    struct stat status{};
    return file.is_open() && fstat(file.get(), &status) == 0 && S_ISSOCK(status.st_mode);
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
    const auto owner = find_owner(options);
    if (!owner) return refuse(path, owner.error());
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
    const UniqueFd file{::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
    if (!is_socket(file)) return undo("something else was put in its place");
    if (const std::string problem = set_owner(file, *owner); !problem.empty()) {
        return undo(problem);
    }
    // Listening comes before the mode: who may connect finds somebody.
    if (listen(fd.get(), listen_backlog) != 0 || !set_mode(file, options.mode)) {
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
