#pragma once
// Listings of what has a text as its key: the cursor is the last key, so that what comes and goes
// meanwhile moves nothing that is there all the time.

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mitu/api/broker.hpp"
#include "mitu/api/error.hpp"

namespace mitu::node {

[[nodiscard]] inline std::string key_cursor(std::string_view key) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char c : key) {
        const auto byte = static_cast<unsigned char>(c);
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

[[nodiscard]] inline std::optional<std::string> read_key_cursor(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    if (text.size() % 2 != 0) return std::nullopt;
    std::string key;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const auto high = digits.find(text[i]);
        const auto low = digits.find(text[i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
        key += static_cast<char>(high << 4 | low);
    }
    return key;
}

/// `all`: key and item, in any order; keys differ.
template <class T>
[[nodiscard]] api::Answer<api::Listing<T>> page_by_key(std::vector<std::pair<std::string, T>> all,
                                                       const api::Page& page) {
    const auto by_key = [](const auto& a, const auto& b) { return a.first < b.first; };
    std::sort(all.begin(), all.end(), by_key);
    auto at = all.begin();
    if (!page.cursor.empty()) {
        auto last = read_key_cursor(page.cursor);
        if (!last)
            return api::refuse(api::Code::cursor_invalid, "cursor is not one of this listing");
        at = std::upper_bound(all.begin(), all.end(), std::pair{*std::move(last), T{}}, by_key);
    }
    api::Listing<T> listing;
    for (; at != all.end() && listing.items.size() < page.limit; ++at) {
        listing.items.push_back(std::move(at->second));
        if (listing.items.size() == page.limit && at + 1 != all.end()) {
            listing.next_cursor = key_cursor(at->first);
        }
    }
    return listing;
}

}  // namespace mitu::node
