#pragma once
// What is asked of a connection before anybody knows whose it is: its address, and the pace of all.

#include <cstdint>
#include <optional>

#include "mitu/admission/ban_list.hpp"
#include "mitu/admission/control.hpp"
#include "mitu/admission/limit.hpp"
#include "mitu/base/ip_network.hpp"
#include "mitu/base/time.hpp"

namespace mitu::admission {

/// It does not come in.
struct EntryRefusal {
    Bound bound;
    Instant retry_at = Instant::never();  // never: there is nothing to wait for
};

/// Bans of the address, and the budget of memory. Costs nothing that would have to be given back,
/// so it may be asked twice.
/// Threading  that of `bans`: shard-local.
[[nodiscard]] std::optional<EntryRefusal> judge_address(const Control& control, BanView& bans,
                                                        const IpAddress& address, Instant now);

/// The connect rates of the listener and the server. Takes a token of each: once for a connection.
[[nodiscard]] std::optional<EntryRefusal> judge_pace(Control& control, std::uint16_t listener,
                                                     Instant now);

}  // namespace mitu::admission
