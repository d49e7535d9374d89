#include "mitu/node/doors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "mitu/config/units.hpp"
#include "mitu/runtime/account.hpp"
#include "mitu/runtime/listener.hpp"
#include "mitu/trace/log.hpp"
#include "mitu/transport/tls_store.hpp"

namespace mitu::node {
namespace {

using config::Listener;

transport::TlsSettings settings_of(const config::Tls& tls) {
    transport::TlsSettings settings;
    for (const config::Certificate& one : tls.certificates) {
        settings.certificates.push_back(
            {one.certificate, one.key, one.names, one.key_password, one.key_password_file});
    }
    settings.client_certificates =
        static_cast<transport::ClientCertificates>(tls.client_certificates);
    static_assert(static_cast<int>(config::ClientCertificates::required) ==
                  static_cast<int>(transport::ClientCertificates::required));
    if (!tls.ca_file.empty()) settings.ca_files = {tls.ca_file};
    settings.crl_files = tls.crl_files;
    settings.verify_depth = tls.verify_depth;
    settings.version_min = tls.minimum_version == config::TlsVersion::v1_3
                               ? transport::TlsVersion::tls1_3
                               : transport::TlsVersion::tls1_2;
    settings.cipher_list = tls.ciphers;
    settings.cipher_suites = tls.cipher_suites;
    settings.session_tickets = tls.session_tickets;
    return settings;
}

void log_warnings(const Door& door) {
    for (const std::string& warning : door.tls->warnings()) {
        trace::log(trace::Level::warn, "certificate_warning",
                   {{"listener", door.name}, {"text", warning}});
    }
}

void log_reload(const Door& door, const transport::TlsStore::ReloadResult& result) {
    using Reload = transport::TlsStore::Reload;
    if (result.outcome == Reload::replaced) {
        trace::log(trace::Level::info, "certificates_reloaded", {{"listener", door.name}});
        log_warnings(door);
    } else if (result.outcome == Reload::refused) {
        trace::log(trace::Level::error, "certificates_refused",
                   {{"listener", door.name},
                    {"reason", result.problem},
                    {"user", runtime::own_name()},
                    {"effect", "the certificates loaded before stay in use"}});
    }
}

/// Everything of a listener but its sockets.
Result<transport::ListenerTransport, std::string> transport_of(const Listener& listener, Door& door,
                                                               WallTime now) {
    transport::ListenerTransport out;
    if (listener.tls) {
        auto store = transport::TlsStore::load(settings_of(*listener.tls), now);
        if (!store) return std::unexpected(store.error());
        door.tls = std::move(*store);
        out.tls = door.tls;
        log_warnings(door);
    }
    if (listener.protocol == config::Protocol::websocket) {
        transport::WebSocketSettings websocket;
        websocket.paths = {listener.websocket.path};
        websocket.origins = listener.websocket.origins;
        websocket.protocols = listener.websocket.sub_protocols;
        websocket.frame_bytes_max = listener.websocket.frame_bytes_max;
        out.websocket = std::move(websocket);
    }
    if (listener.proxy_protocol) {
        out.proxy_headers = listener.proxy_protocol->required ? transport::ProxyHeaders::required
                                                              : transport::ProxyHeaders::optional;
        for (const std::string& from : listener.proxy_protocol->from) {
            const auto network = parse_ip_network(from);
            if (!network) {
                return std::unexpected(
                    fmt::format("proxy_protocol.from has \"{}\"; use an address or a network, as "
                                "10.0.0.0/8",
                                from));
            }
            out.proxies.push_back(*network);
        }
    }
    return out;
}

std::string scheme_of(const Listener& listener) {
    const bool is_websocket = listener.protocol == config::Protocol::websocket;
    return is_websocket ? (listener.tls ? "wss" : "ws") : (listener.tls ? "tls" : "tcp");
}

Result<runtime::ListenAddress, std::string> address_of(const Listener& listener) {
    const bool is_unix = listener.bind.starts_with("unix:");
    return runtime::parse_listen_address(is_unix ? listener.bind : "tcp://" + listener.bind);
}

std::string held_name(const Listener& listener, const runtime::ListenAddress& address,
                      std::size_t shards) {
    // Any free port is as many as there are listeners that ask for it.
    const bool is_any = !address.is_unix() && address.port == 0;
    return fmt::format("{}{}{} x{}", is_any ? listener.name : "", is_any ? " " : "",
                       address.to_text("tcp"), shards);
}

/// Those that stand open already, or new ones.
Result<runtime::Listeners, std::string> listen(const runtime::ListenAddress& address,
                                               std::size_t shards,
                                               const runtime::UnixSocketOptions& unix_socket,
                                               const std::string& name,
                                               runtime::HeldSockets& held) {
    runtime::Listeners listeners{held.take(name)};
    if (listeners.sockets.size() == shards) {
        listeners.port = runtime::bound_port(listeners.sockets.front().get());
        return listeners;
    }
    auto opened = runtime::listen_on(address, shards, unix_socket);
    if (opened) held.keep(name, opened->sockets);
    return opened;
}

Result<runtime::Listeners, std::string> listen(const Listener& listener, std::size_t shards,
                                               Door& door, runtime::HeldSockets& held) {
    const auto address = address_of(listener);
    if (!address) return std::unexpected(address.error());
    runtime::UnixSocketOptions unix_socket{listener.unix_socket.owner, listener.unix_socket.group,
                                           0660};
    const std::string& mode = listener.unix_socket.mode;
    std::from_chars(mode.data(), mode.data() + mode.size(), unix_socket.mode, 8);
    auto listeners =
        listen(*address, shards, unix_socket, held_name(listener, *address, shards), held);
    if (!listeners) return listeners;
    door.port = listeners->port;
    runtime::ListenAddress real = *address;
    real.port = listeners->port;
    door.address = address->is_unix() ? listener.bind : real.to_text(scheme_of(listener));
    return listeners;
}

}  // namespace

Result<Doors, std::string> Doors::open(const std::vector<Listener>& listeners, std::size_t shards,
                                       WallTime now, runtime::HeldSockets& held) {
    Doors doors;
    doors.sockets_.resize(shards);
    for (const Listener& listener : listeners) {
        const auto refuse = [&](const std::string& why) {
            return std::unexpected(fmt::format("listener {}: {}", listener.name, why));
        };
        Door door;
        door.name = listener.name;
        door.from = listener;
        auto transport = transport_of(listener, door, now);
        if (!transport && listener.enabled) return refuse(transport.error());
        if (!transport) {
            // Off perhaps because its certificates are not there yet.
            door.problem = transport.error();
            transport.emplace();
        }
        for (std::size_t i = 0; i < shards; ++i) doors.sockets_[i].emplace_back();
        if (listener.enabled) {
            auto open = listen(listener, shards, door, held);
            if (!open) return refuse(open.error());
            for (std::size_t i = 0; i < shards; ++i) {
                doors.sockets_[i].back() = std::move(open->sockets[i]);
            }
            door.is_open = true;
        } else {
            const bool is_unix = listener.bind.starts_with("unix:");
            door.address = is_unix ? listener.bind : scheme_of(listener) + "://" + listener.bind;
        }
        doors.transport_.listeners.push_back(std::move(*transport));
        doors.doors_.push_back(std::move(door));
        const auto& limits = listener.limits;
        doors.transport_.limits.handshakes_max =
            std::min(doors.transport_.limits.handshakes_max, limits.handshakes_max);
        if (listener.tls) {
            doors.transport_.limits.handshake_time_max = listener.tls->handshake_timeout;
        }
    }
    return doors;
}

Result<std::vector<runtime::UniqueFd>, std::string> Doors::open_again(std::size_t door) {
    Door& at = doors_[door];
    if (!at.problem.empty()) {
        return std::unexpected(fmt::format("listener {}: {}; mend it and start the server again",
                                           at.name, at.problem));
    }
    Listener listener = at.from;
    if (at.port != 0) {
        // Port 0 means any: now it is the one that clients know.
        listener.bind =
            listener.bind.substr(0, listener.bind.rfind(':') + 1) + std::to_string(at.port);
    }
    // A supervisor takes no sockets from who serves already.
    runtime::HeldSockets nothing_held;
    auto open = listen(listener, sockets_.size(), at, nothing_held);
    if (!open) return std::unexpected(fmt::format("listener {}: {}", at.name, open.error()));
    at.is_open = true;
    return std::move(open->sockets);
}

std::vector<std::string> Doors::names(const std::vector<Listener>& listeners, std::size_t shards) {
    std::vector<std::string> names;
    for (const Listener& listener : listeners) {
        const auto address = address_of(listener);
        if (listener.enabled && address) names.push_back(held_name(listener, *address, shards));
    }
    return names;
}

bool Doors::has_filters() const noexcept {
    return std::any_of(transport_.listeners.begin(), transport_.listeners.end(),
                       [](const auto& listener) { return listener.has_filters(); });
}

void Doors::refresh(WallTime now) {
    for (const Door& door : doors_) {
        if (door.tls) log_reload(door, door.tls->refresh(now));
    }
}

void Doors::reload(WallTime now) {
    for (const Door& door : doors_) {
        if (door.tls) log_reload(door, door.tls->reload(now));
    }
}

}  // namespace mitu::node
