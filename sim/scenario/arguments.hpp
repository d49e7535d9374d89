#pragma once
// Internal: the words of one action, taken by name or by place, with the first thing that is wrong.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/mqtt/types.hpp"
#include "sim/scenario/scenario.hpp"
#include "sim/scenario/words.hpp"

namespace mitu::sim::scenario {

/// Take what an action knows; what is left over in the end is a mistake. Only the first mistake of
/// an action counts, so that the takers may go on with defaults.
class Arguments {
public:
    /// Lifetime  borrows `words`.
    Arguments(std::string_view verb, std::span<const Word> words);

    // --- by name; nullopt: it is not there ---
    std::optional<std::string> text(std::string_view name);  // at most 65'535 bytes
    std::optional<std::uint64_t> number(std::string_view name, std::uint64_t most);
    std::optional<bool> flag(std::string_view name);
    std::optional<std::uint32_t> seconds(std::string_view name);
    std::optional<std::uint16_t> seconds_short(std::string_view name);
    std::optional<mqtt::QoS> qos(std::string_view name);
    IdRef id(std::string_view name);
    /// All `PREFIX.NAME=value`, in order.
    UserPairs pairs(std::string_view prefix);

    // --- by place ---
    /// The next word without a name; nullptr: there is none.
    const Word* positional();
    std::string required(std::string_view what);
    std::optional<mqtt::ReasonCode> reason();

    /// Every word, in order, for who takes them by himself.
    [[nodiscard]] std::span<const Word> words() const noexcept { return words_; }
    void take_all() noexcept { taken_.assign(words_.size(), true); }

    void complain(std::string text);
    /// After the last take: the first mistake, or a word that nobody took.
    [[nodiscard]] std::optional<std::string> problem();

private:
    const Word* find(std::string_view name);

    std::string verb_;
    std::span<const Word> words_;
    std::vector<bool> taken_;
    std::vector<std::string> known_;  // names that were asked for
    std::optional<std::string> problem_;
};

[[nodiscard]] std::optional<mqtt::QoS> parse_qos(std::string_view text) noexcept;
/// A packet id 1..65535, or a name that begins with a letter.
[[nodiscard]] std::optional<IdRef> parse_id(std::string_view text);

}  // namespace mitu::sim::scenario
