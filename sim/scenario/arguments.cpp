#include "sim/scenario/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "sim/scenario/values.hpp"

namespace mitu::sim::scenario {
namespace {

constexpr std::size_t text_bytes_max = 65'535;

}  // namespace

std::optional<mqtt::QoS> parse_qos(std::string_view text) noexcept {
    if (text.size() != 1 || text[0] < '0' || text[0] > '2') return std::nullopt;
    return mqtt::QoS{static_cast<std::uint8_t>(text[0] - '0')};
}

std::optional<IdRef> parse_id(std::string_view text) {
    if (text.empty()) return std::nullopt;
    if (text[0] >= 'a' && text[0] <= 'z') return IdRef{0, std::string{text}};
    const auto number = parse_number(text);
    if (!number || *number == 0 || *number > 65'535) return std::nullopt;
    return IdRef{static_cast<std::uint16_t>(*number), {}};
}

Arguments::Arguments(std::string_view verb, std::span<const Word> words)
    : verb_{verb}, words_{words}, taken_(words.size(), false) {}

void Arguments::complain(std::string text) {
    if (!problem_) problem_ = std::move(text);
}

const Word* Arguments::find(std::string_view name) {
    known_.emplace_back(name);
    const Word* found = nullptr;
    for (std::size_t i = 0; i < words_.size(); ++i) {
        if (words_[i].name != name) continue;
        if (found != nullptr) complain(fmt::format("{} is there twice; remove one", name));
        taken_[i] = true;
        found = &words_[i];
    }
    return found;
}

std::optional<std::string> Arguments::text(std::string_view name) {
    const Word* const word = find(name);
    if (word == nullptr) return std::nullopt;
    if (word->value.size() > text_bytes_max) {
        complain(fmt::format("{} has {} bytes; use at most {}", name, word->value.size(),
                             text_bytes_max));
        return std::nullopt;
    }
    return word->value;
}

std::optional<std::uint64_t> Arguments::number(std::string_view name, std::uint64_t most) {
    const Word* const word = find(name);
    if (word == nullptr) return std::nullopt;
    const auto value = parse_number(word->value);
    if (!value || *value > most) {
        complain(fmt::format("{} is \"{}\"; use 0..{}", name, word->value, most));
        return std::nullopt;
    }
    return value;
}

std::optional<bool> Arguments::flag(std::string_view name) {
    const Word* const word = find(name);
    if (word == nullptr) return std::nullopt;
    if (word->value != "0" && word->value != "1") {
        complain(fmt::format("{} is \"{}\"; use 0 or 1", name, word->value));
    }
    return word->value == "1";
}

std::optional<std::uint32_t> Arguments::seconds(std::string_view name) {
    const Word* const word = find(name);
    if (word == nullptr) return std::nullopt;
    const auto value = parse_seconds(word->value);
    if (!value) {
        complain(fmt::format("{} is \"{}\"; use whole seconds such as 10s, 5m, or never", name,
                             word->value));
    }
    return value;
}

std::optional<std::uint16_t> Arguments::seconds_short(std::string_view name) {
    const auto value = seconds(name);
    if (!value) return std::nullopt;
    if (*value > 65'535) {
        complain(fmt::format("{} is {}s; use at most 65535s", name, *value));
        return std::nullopt;
    }
    return static_cast<std::uint16_t>(*value);
}

std::optional<mqtt::QoS> Arguments::qos(std::string_view name) {
    const Word* const word = find(name);
    if (word == nullptr) return std::nullopt;
    const auto value = parse_qos(word->value);
    if (!value) complain(fmt::format("{} is \"{}\"; use 0, 1 or 2", name, word->value));
    return value;
}

IdRef Arguments::id(std::string_view name) {
    const Word* const word = find(name);
    if (word == nullptr) return {};
    const auto value = parse_id(word->value);
    if (!value) {
        complain(
            fmt::format("{} is \"{}\"; use 1..65535 or a name of your choice", name, word->value));
    }
    return value.value_or(IdRef{});
}

UserPairs Arguments::pairs(std::string_view prefix) {
    UserPairs pairs;
    const std::string start = std::string{prefix} + '.';
    known_.push_back(start + "NAME");
    for (std::size_t i = 0; i < words_.size(); ++i) {
        const Word& word = words_[i];
        if (!word.name.starts_with(start)) continue;
        taken_[i] = true;
        if (word.name.size() > text_bytes_max || word.value.size() > text_bytes_max) {
            complain(fmt::format("{} is longer than {} bytes; shorten it", start, text_bytes_max));
            continue;
        }
        pairs.emplace_back(word.name.substr(start.size()), word.value);
    }
    return pairs;
}

const Word* Arguments::positional() {
    for (std::size_t i = 0; i < words_.size(); ++i) {
        if (taken_[i] || !words_[i].name.empty()) continue;
        taken_[i] = true;
        return &words_[i];
    }
    return nullptr;
}

std::string Arguments::required(std::string_view what) {
    const Word* const word = positional();
    if (word == nullptr) {
        complain(fmt::format("{} lacks its {}; write `{} {}`", verb_, what, verb_, what));
        return {};
    }
    if (word->value.size() > text_bytes_max) {
        complain(fmt::format("the {} has {} bytes; use at most {}", what, word->value.size(),
                             text_bytes_max));
        return {};
    }
    return word->value;
}

std::optional<mqtt::ReasonCode> Arguments::reason() {
    const Word* word = find("reason");
    if (word == nullptr) word = positional();
    if (word == nullptr) return std::nullopt;
    const auto reason = parse_reason(word->value);
    if (!reason) {
        complain(fmt::format("the reason is \"{}\"; use its name (protocol_error) or number (0x82)",
                             word->value));
    }
    return reason;
}

std::optional<std::string> Arguments::problem() {
    if (problem_) return problem_;
    for (std::size_t i = 0; i < words_.size(); ++i) {
        if (taken_[i]) continue;
        const Word& word = words_[i];
        if (word.name.empty()) {
            return fmt::format("{} has no use for {}; remove it, or put ; between two actions",
                               verb_, word.text());
        }
        const std::vector<std::string_view> candidates{known_.begin(), known_.end()};
        const std::string_view near = fleet::did_you_mean(word.name, candidates);
        if (!near.empty()) {
            return fmt::format("{} knows no {}; did you mean {}?", verb_, word.name, near);
        }
        if (candidates.empty()) {
            return fmt::format("{} knows no {}; it takes no options", verb_, word.name);
        }
        return fmt::format("{} knows no {}; use {}", verb_, word.name, fmt::join(candidates, ", "));
    }
    return std::nullopt;
}

}  // namespace mitu::sim::scenario
