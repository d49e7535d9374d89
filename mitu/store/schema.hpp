#pragma once
// The layout of the rows as a number, and how a store of an older one is brought forward.

#include <cstdint>
#include <functional>

#include "mitu/base/result.hpp"
#include "mitu/store/engine.hpp"

namespace mitu::store {

/// 1  the will of a session lay in its row, behind the other fields; a message that several entries
///    name had one row in `references`, their count
/// 2  wills have rows of their own, by session, those of clients whose session is not kept were
///    values, by name; each holder of such a message has a row in `references`
/// 3  every will has a number, and says whose it is: it outlasts its session until its message is
///    stored
inline constexpr std::uint32_t schema_version = 3;

/// What a store knows of itself.
struct Identity {
    std::uint32_t schema = schema_version;
    std::uint32_t generation = 0;     // counts starts: see IdMint
    std::uint64_t node = 0;           // drawn once, when the store was made
    std::uint32_t migrated_from = 0;  // 0: it was of this version already
};

/// Brings the rows to this version, step by step, and begins a new generation. Everything is on the
/// device when it returns; cut off at any moment, it begins again.
/// Shape   `node`: for a store that has none yet. `has_lost`: opening it lost something, perhaps
///         the count of starts; then all sessions are looked at for it, else a few rows.
/// Errors  unsupported: a newer version wrote it; nothing was changed. Else as Engine.
[[nodiscard]] Result<Identity, Error> begin_generation(Engine& engine, std::uint64_t node,
                                                       bool has_lost = false);

/// What is there, changing nothing; a store without rows has generation 0.
/// Errors  as above.
[[nodiscard]] Result<Identity, Error> read_identity(Engine& engine);

}  // namespace mitu::store
