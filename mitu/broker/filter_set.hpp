#pragma once
// FilterSet: the topic filters of one session, each text once and little beside it.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "mitu/broker/session_memory.hpp"
#include "mitu/memory/arena.hpp"
#include "mitu/memory/arena_vector.hpp"

namespace mitu::broker {

/// A set of texts. One alone is a block of its own, as most sessions have it; more stand one behind
/// the other, 2 bytes beside each; from the ninth on there is a table of their offsets. A session
/// without subscriptions has 8 bytes of this.
/// Threading  shard-local.
/// Lifetime   its memory is the session's, named at each call, and goes with it.
/// Cost       a look-up: a scan of at most 8 texts, or one hash. Growth moves the texts of this one
///            session.
/// Order      sorted() goes by text, whatever was added when.
class FilterSet {
public:
    enum class Added : std::uint8_t { yes, was_there, no_room };

    [[nodiscard]] bool contains(std::string_view filter) const noexcept;
    /// Shape  up to 65'535 bytes.
    [[nodiscard]] Added add(SessionMemory& memory, std::string_view filter);
    /// False: it was not there.
    bool remove(SessionMemory& memory, std::string_view filter);
    [[nodiscard]] std::size_t size() const noexcept;
    /// Lifetime  the texts stay until the set changes, their list as long as `scratch` says.
    [[nodiscard]] memory::ArenaVector<std::string_view> sorted(memory::Arena& scratch) const;

private:
    /// Texts in one block; offsets of 4 bytes name them.
    struct Texts {
        static constexpr std::uint32_t none = 0xFFFF'FFFF;

        char* bytes = nullptr;
        std::uint32_t used = 0;
        std::uint32_t capacity = 0;
        std::uint32_t dead_bytes = 0;
        std::uint32_t count = 0;
        memory::ArenaVector<std::uint32_t> table;

        [[nodiscard]] std::uint32_t find(std::string_view text) const noexcept;
        [[nodiscard]] bool add(SessionMemory& memory, std::string_view text);
        void remove(SessionMemory& memory, std::uint32_t at);
        void free(SessionMemory& memory) noexcept;
        [[nodiscard]] std::uint32_t record_bytes(std::uint32_t at) const noexcept;
        [[nodiscard]] std::string_view text_at(std::uint32_t at) const noexcept;
        template <class Visit>
        void for_each(Visit visit) const;

    private:
        [[nodiscard]] bool make_room(SessionMemory& memory, std::uint32_t needed);
        [[nodiscard]] bool make_table(SessionMemory& memory);
        [[nodiscard]] std::size_t home_of(std::string_view text) const noexcept;
        [[nodiscard]] std::size_t next(std::size_t i) const noexcept;
        [[nodiscard]] std::size_t distance(std::size_t from, std::size_t i) const noexcept;
        void place(std::uint32_t at) noexcept;
        void unplace(std::uint32_t at) noexcept;
        void compact(SessionMemory& memory);
    };

    static constexpr std::uintptr_t is_one_text = 1;  // blocks are aligned to 16 bytes

    /// Null: empty, or one text.
    [[nodiscard]] Texts* texts() const noexcept {
        return (held_ & is_one_text) != 0 ? nullptr : reinterpret_cast<Texts*>(held_);
    }
    /// The one text, with its size in front; null: there are none, or more.
    [[nodiscard]] char* only() const noexcept {
        return (held_ & is_one_text) == 0 ? nullptr : reinterpret_cast<char*>(held_ - is_one_text);
    }
    [[nodiscard]] static std::string_view text_in(const char* record) noexcept;
    [[nodiscard]] bool add_only(SessionMemory& memory, std::string_view filter);
    [[nodiscard]] bool make_texts(SessionMemory& memory);

    std::uintptr_t held_ = 0;  // where only() or texts() is; 0: empty
};
static_assert(std::is_trivially_destructible_v<FilterSet>);

}  // namespace mitu::broker
