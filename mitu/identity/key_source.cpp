#include "mitu/identity/key_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "mitu/base/check.hpp"
#include "mitu/identity/jose_key.hpp"
#include "mitu/identity/secret.hpp"

namespace mitu::identity {
namespace {

constexpr std::size_t token_header_bytes_max = 4'096;
constexpr std::size_t etag_bytes_max = 256;
constexpr std::size_t problem_bytes_max = 256;
constexpr std::int64_t age_s_max = 86'400 * 365;

std::string_view trimmed(std::string_view text) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; };
        return lower(x) == lower(y);
    });
}

/// delta-seconds; one that is too large to be true counts as the largest.
std::optional<std::int64_t> read_seconds(std::string_view text) {
    text = trimmed(text);
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
    }
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.empty() || !std::ranges::all_of(text, is_digit)) return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} ? std::min(value, age_s_max) : age_s_max;
}

/// A key without kid serves every token.
bool has_key(const KeySet& keys, const std::optional<std::string>& kid) {
    if (!kid) return keys.size() != 0;
    return std::ranges::any_of(
        keys.keys(), [&](const auto& key) { return key->kid.empty() || key->kid == *kid; });
}

/// Fit to be sent back: visible ASCII, as RFC 9110 section 8.8.3 has it.
std::string usable_etag(const std::string& etag) {
    const bool is_usable = etag.size() <= etag_bytes_max &&
                           std::ranges::all_of(etag, [](char c) { return c > 0x20 && c < 0x7F; });
    return is_usable ? etag : std::string{};
}

}  // namespace

std::optional<Duration> fresh_for(std::string_view cache_control, std::string_view age) {
    std::optional<std::int64_t> max_age;
    while (!cache_control.empty()) {
        const std::size_t comma = cache_control.find(',');
        const std::string_view directive = trimmed(cache_control.substr(0, comma));
        cache_control.remove_prefix(comma == std::string_view::npos ? cache_control.size()
                                                                    : comma + 1);
        const std::size_t equals = directive.find('=');
        const std::string_view name = directive.substr(0, equals);
        if (equals_ignoring_case(name, "no-store") || equals_ignoring_case(name, "no-cache")) {
            return Duration{};
        }
        if (!equals_ignoring_case(name, "max-age") || equals == std::string_view::npos) continue;
        const auto seconds = read_seconds(directive.substr(equals + 1));
        // One that cannot be read is stale (RFC 9111 section 4.2.1). Of two, the shorter.
        const std::int64_t said = seconds.value_or(0);
        max_age = max_age ? std::min(*max_age, said) : said;
    }
    if (!max_age) return std::nullopt;
    return Duration::seconds(std::max<std::int64_t>(*max_age - read_seconds(age).value_or(0), 0));
}

std::optional<std::string> kid_of_token(std::string_view token) {
    const std::string_view header = token.substr(0, token.find('.'));
    if (header.size() > token_header_bytes_max) return std::nullopt;
    const auto text = from_base64url(header);
    if (!text) return std::nullopt;
    const auto object = nlohmann::json::parse(*text, nullptr, false);
    if (!object.is_object()) return std::nullopt;
    const auto kid = object.find("kid");
    if (kid == object.end() || !kid->is_string()) return std::nullopt;
    return kid->get<std::string>();
}

bool KeySource::is_young(Instant now) const {
    return keys_ != nullptr && now - confirmed_at_ <= options_.stale_max;
}

bool KeySource::may_begin(Instant now, bool is_wanted) const {
    if (is_under_way_) return false;
    if (!began_at_ || now >= next_at_) return true;
    return is_wanted && is_young(now) && now - *began_at_ >= options_.early_min;
}

KeySource::Found KeySource::find(const std::optional<std::string>& kid, Instant now) const {
    const MutexLock lock{mutex_};
    Found found;
    if (is_young(now)) found.keys = keys_;
    if (found.keys && has_key(*found.keys, kid)) return found;
    found.should_wait = is_under_way_ || may_begin(now, true);
    found.is_unknowable = failures_ != 0;
    return found;
}

std::optional<KeyRequest> KeySource::begin(Instant now, bool is_wanted) {
    const MutexLock lock{mutex_};
    if (!may_begin(now, is_wanted)) return std::nullopt;
    is_under_way_ = true;
    began_at_ = now;
    return KeyRequest{etag_};
}

KeyFetch KeySource::fail(std::string problem, Instant now) {
    constexpr std::uint32_t doublings_max = 16;
    ++failed_total_;
    const std::int64_t factor = std::int64_t{1} << std::min(failures_, doublings_max);
    ++failures_;
    const Duration wait = std::min(options_.retry_min * factor, options_.retry_max);
    next_at_ = now + wait;
    problem_ = problem.substr(0, problem_bytes_max);
    return {KeyFetch::Result::failed, problem_, is_young(now) ? keys_->size() : 0, wait, {}};
}

KeyFetch KeySource::finish(const KeyReply& reply, Instant now) {
    const MutexLock lock{mutex_};
    MITU_CHECK(is_under_way_);
    is_under_way_ = false;
    if (!reply.was_reached) {
        return fail(reply.error.empty() ? "it could not be reached" : reply.error, now);
    }
    KeyFetch fetch;
    if (reply.status == 304 && keys_ && !etag_.empty()) {
        fetch.result = KeyFetch::Result::unchanged;
    } else if (reply.status == 200) {
        auto keys = KeySet::from_jwks(reply.body);
        if (!keys) return fail(keys.error(), now);
        fetch.result = KeyFetch::Result::fetched;
        fetch.warnings = keys->warnings();
        keys_ = std::make_shared<const KeySet>(*std::move(keys));
        etag_ = usable_etag(reply.etag);
    } else {
        return fail(fmt::format("status {}", reply.status), now);
    }
    failures_ = 0;
    problem_.clear();
    ++fetched_total_;
    confirmed_at_ = now;
    const auto fresh = fresh_for(reply.cache_control, reply.age);
    fetch.next =
        fresh ? std::clamp(*fresh, options_.refresh_min, options_.refresh_max) : options_.refresh;
    next_at_ = now + fetch.next;
    fetch.keys = keys_->size();
    return fetch;
}

KeySource::Status KeySource::status(Instant now) const {
    const MutexLock lock{mutex_};
    Status status;
    if (is_young(now)) status.keys = keys_->size();
    if (keys_) status.age = now - confirmed_at_;
    status.fetched_total = fetched_total_;
    status.failed_total = failed_total_;
    status.problem = problem_;
    return status;
}

}  // namespace mitu::identity
