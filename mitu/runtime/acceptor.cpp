#include "mitu/runtime/acceptor.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "mitu/trace/log.hpp"

namespace mitu::runtime {
namespace {

UniqueFd open_spare() { return UniqueFd{open("/dev/null", O_RDONLY | O_CLOEXEC)}; }

ports::PeerAddress to_peer(const sockaddr_storage& storage) {
    ports::PeerAddress peer;
    if (storage.ss_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, &storage, sizeof in);
        peer.ip[10] = peer.ip[11] = 0xFF;
        std::memcpy(peer.ip.data() + 12, &in.sin_addr, 4);
        peer.port = ntohs(in.sin_port);
    } else if (storage.ss_family == AF_INET6) {
        sockaddr_in6 in6{};
        std::memcpy(&in6, &storage, sizeof in6);
        std::memcpy(peer.ip.data(), &in6.sin6_addr, 16);
        peer.port = ntohs(in6.sin6_port);
    }
    return peer;
}

}  // namespace

std::optional<ports::LocalPeer> local_peer(int fd) noexcept {
    ucred who{};
    socklen_t size = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 ||
        who.uid == static_cast<uid_t>(-1)) {
        return std::nullopt;
    }
    return ports::LocalPeer{who.uid, who.gid, who.pid};
}

Acceptor::Acceptor(int epoll, std::vector<UniqueFd> listeners, ConnectionBudget* budget,
                   NetworkCounters& counters)
    : epoll_{epoll},
      listeners_{std::move(listeners)},
      budget_{budget},
      counters_{counters},
      spare_{listeners_.empty() ? UniqueFd{} : open_spare()} {}

bool Acceptor::register_all() {
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
        if (!listeners_[i].is_open()) continue;
        if (!watch(static_cast<std::uint16_t>(i), true)) return false;
    }
    return true;
}

bool Acceptor::replace(std::uint16_t listener, UniqueFd socket) {
    if (listener >= listeners_.size()) return false;  // stopped
    std::erase(resting_, listener);
    // Explicitly: a Unix socket is shared by shards, so closing it here would not end the watch.
    if (listeners_[listener].is_open()) static_cast<void>(watch(listener, false));
    listeners_[listener] = std::move(socket);
    if (!listeners_[listener].is_open() || watch(listener, true)) return true;
    listeners_[listener].reset();
    return false;
}

bool Acceptor::watch(std::uint16_t listener, bool on) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag_base + listener;
    return epoll_ctl(epoll_, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listeners_[listener].get(),
                     &event) == 0;
}

Acceptor::Status Acceptor::accept(std::uint16_t listener, bool has_room, Instant now,
                                  Accepted& accepted) {
    if (listener >= listeners_.size() || !listeners_[listener].is_open()) return Status::empty;
    sockaddr_storage from{};
    socklen_t from_size = sizeof from;
    UniqueFd fd{accept4(listeners_[listener].get(), reinterpret_cast<sockaddr*>(&from), &from_size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd.is_open()) {
        if (!has_room || (budget_ != nullptr && !budget_->try_take())) {
            counters_.refused_limit_total.add();
            trace::log(trace::Level::warn, "connection_refused",
                       {{"listener", listener},
                        {"reason", "the connection limit is reached"},
                        {"refused_total", counters_.refused_limit_total.read()}});
            return Status::refused;
        }
        accepted.fd = std::move(fd);
        accepted.peer = to_peer(from);
        return Status::accepted;
    }
    switch (errno) {
        case EAGAIN:
            return Status::empty;
        case EMFILE:
            return refuse_without_files(listener, now);
        // This one connection is gone or unwanted (accept(2), "Error handling"): try the next.
        case EINTR:
        case ECONNABORTED:
        case EPERM:
        case EPROTO:
        case ENETDOWN:
        case ENETUNREACH:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENOPROTOOPT:
        case EOPNOTSUPP:
            return Status::refused;
        // ENFILE, ENOBUFS, ENOMEM, and whatever else would fail again at once.
        default:
            rest(listener, errno, now);
            return Status::empty;
    }
}

Acceptor::Status Acceptor::refuse_without_files(std::uint16_t listener, Instant now) {
    if (!spare_.is_open()) {
        rest(listener, EMFILE, now);
        return Status::empty;
    }
    spare_.reset();
    UniqueFd fd{accept4(listeners_[listener].get(), nullptr, nullptr, SOCK_CLOEXEC)};
    // EMFILE is said before the queue is looked at, so that it may turn out to be empty.
    const int error = fd.is_open() ? 0 : errno;
    const bool refused = fd.is_open();
    fd.reset();
    spare_ = open_spare();
    if (refused) {
        counters_.refused_no_files_total.add();
        trace::log(trace::Level::warn, "connection_refused",
                   {{"listener", listener},
                    {"reason", "no file descriptor is left; raise the limit of open files"},
                    {"refused_total", counters_.refused_no_files_total.read()}});
        return Status::refused;
    }
    if (error != EAGAIN) rest(listener, error, now);
    return Status::empty;
}

void Acceptor::rest(std::uint16_t listener, int error, Instant now) {
    counters_.accept_pauses_total.add();
    const char* const reason = strerrordesc_np(error);
    trace::log(trace::Level::warn, "accept_paused",
               {{"listener", listener},
                {"reason", reason != nullptr ? reason : "unknown"},
                {"ms", accept_pause.count_ms()}});
    if (!watch(listener, false)) return;
    resting_.push_back(listener);
    resume_at_ = std::min(resume_at_, now + accept_pause);
}

void Acceptor::resume_rested(Instant now) {
    if (now < resume_at_) return;
    resume_at_ = Instant::never();
    if (!spare_.is_open()) spare_ = open_spare();
    std::vector<std::uint16_t> still_resting;
    for (const std::uint16_t listener : resting_) {
        if (!watch(listener, true)) still_resting.push_back(listener);
    }
    if (!still_resting.empty()) resume_at_ = now + accept_pause;
    resting_ = std::move(still_resting);
}

void Acceptor::stop() noexcept {
    listeners_.clear();
    waiting_.clear();
    resting_.clear();
    spare_.reset();
    resume_at_ = Instant::never();
}

}  // namespace mitu::runtime
