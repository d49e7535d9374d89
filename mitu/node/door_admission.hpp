#pragma once
// DoorAdmission: who is sent away before a handshake, and whose queue the others wait in.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mitu/admission/control.hpp"
#include "mitu/admission/entry.hpp"
#include "mitu/base/strong_id.hpp"
#include "mitu/config/listener.hpp"
#include "mitu/fleet/catalog.hpp"
#include "mitu/transport/doorkeeper.hpp"

namespace mitu::node {

/// What a listener says of those who come in by it, before they say anything of themselves.
struct DoorListener {
    std::string name;
    /// TLS or WebSocket stands in front of MQTT. Elsewhere a refusal waits for CONNECT: it costs
    /// nothing, and the client learns the reason.
    bool is_guarded = false;
    std::optional<TenantId> tenant;                               // nullopt: the credential says
    std::map<std::string, TenantId, std::less<>> by_server_name;  // SNI, in lower case
};

/// Those that are enabled, in the order of the configuration: by listener_index.
[[nodiscard]] std::vector<DoorListener> door_listeners(
    const std::vector<config::Listener>& listeners, const fleet::Catalog& catalog);

/// Asks of each connection to a guarded listener, once its true address is known: is the address
/// banned, is the process short of memory, is the listener full, do all together come too fast.
/// Who does not come in is closed without a word, counted, and reported.
///
/// A listener that is full still lets a few through at a time: who is in already may connect again
/// and take its own place over, and that shows only at CONNECT.
///
/// Handshakes wait in a queue for each tenant that SNI or the listener names.
///
/// Threading  shard-local, like its network.
/// Cost       as BanSnapshot::find_address, and a compare-and-swap for each connect rate.
class DoorAdmission final : public transport::Doorkeeper {
public:
    /// Under way at once, through one full listener of one shard.
    static constexpr std::uint32_t places_when_full = 64;

    using Report =
        std::function<void(const ports::PeerAddress&, const admission::Bound&, Instant now)>;

    /// `control` outlives it.
    DoorAdmission(admission::Control& control, std::vector<DoorListener> listeners);

    /// Whom to tell of each that was sent away; set before the network is polled.
    void report_to(Report report) { report_ = std::move(report); }

    [[nodiscard]] bool admits(const ports::PeerAddress& peer, std::uint16_t listener_index,
                              Instant now) override;
    [[nodiscard]] std::uint32_t group_of(std::uint16_t listener_index, std::string_view server_name,
                                         std::uint32_t otherwise) override;
    void on_arrived(std::uint16_t listener_index, bool is_open) override;

private:
    struct Listener {
        DoorListener is;
        std::uint32_t under_way = 0;
    };
    /// A storm is one line a second for each limit.
    struct Quiet {
        Instant until;
        std::uint64_t unlogged = 0;
    };

    [[nodiscard]] std::optional<admission::Bound> judge(const ports::PeerAddress& peer,
                                                        std::uint16_t listener_index, Instant now);
    void log(const ports::PeerAddress& peer, const Listener& listener,
             const admission::Bound& bound, Instant now);

    admission::Control& control_;
    admission::BanView bans_;
    std::vector<Listener> listeners_;
    std::array<Quiet, admission::limit_count> quiet_{};
    Report report_;
};

}  // namespace mitu::node
