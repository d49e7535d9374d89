#pragma once
// What shards remember of refusals, as the API shows it.

#include <string>

#include "mitu/admission/refusal_log.hpp"
#include "mitu/api/broker.hpp"
#include "mitu/broker/shard_inspect.hpp"
#include "mitu/ports/clock.hpp"

namespace mitu::node {

/// When it was by the wall's clock, as that stands now.
[[nodiscard]] WallTime wall_time_of(Instant at, const ports::Clock& clock) noexcept;

/// `tenant`: the name of the attempt's tenant, where it has one.
[[nodiscard]] api::RefusalInfo refusal_info(const admission::RefusedAttempt& attempt,
                                            const std::string& tenant, const ports::Clock& clock);

/// Of a client with a session; tenant and client id stay empty.
[[nodiscard]] api::RefusalInfo refusal_info(const broker::RefusalFacts& refusal,
                                            const ports::Clock& clock);

}  // namespace mitu::node
