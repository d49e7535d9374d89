#include "mitu/runtime/server_network.hpp"

#include <unistd.h>

#include <utility>

#include "mitu/runtime/detached.hpp"
#include "mitu/runtime/epoll_network.hpp"
#include "mitu/runtime/uring.hpp"
#include "mitu/runtime/uring_network.hpp"

namespace mitu::runtime {

std::string_view to_text(Io io) noexcept { return io == Io::epoll ? "epoll" : "io_uring"; }

Result<std::unique_ptr<ServerNetwork>, std::string> make_server_network(
    Io io, const ports::Clock& clock, ServerNetworkOptions options) {
    if (io == Io::epoll) return EpollNetwork::create(clock, std::move(options));
    return UringNetwork::create(clock, std::move(options));
}

std::string io_uring_problem() {
    const auto uring = Uring::create({.submissions = 8, .completions = 16, .buffers = 1});
    return uring ? std::string{} : uring.error();
}

void ServerNetwork::close_detached(const ports::DetachedConnection& connection) noexcept {
    delete connection.filters;
    if (connection.handle != 0) ::close(to_fd(connection.handle));
}

}  // namespace mitu::runtime
