#include "mitu/admission/refusal_log.hpp"

#include <algorithm>
#include <utility>

namespace mitu::admission {
namespace {

constexpr std::size_t client_id_bytes_max = 64;
constexpr std::size_t text_bytes_max = 128;

}  // namespace

void RefusedAttempts::note(RefusedAttempt attempt) {
    if (lines_max_ == 0) return;
    if (attempt.client_id.size() > client_id_bytes_max) {
        attempt.client_id.resize(client_id_bytes_max);
    }
    if (attempt.text.size() > text_bytes_max) attempt.text.resize(text_bytes_max);
    attempt.count = 1;
    // A few hundred lines, and only when somebody is refused: no index.
    auto oldest = lines_.begin();
    for (auto it = lines_.begin(); it != lines_.end(); ++it) {
        const RefusedAttempt& known = it->attempt;
        if (known.tenant == attempt.tenant && known.client_id == attempt.client_id &&
            known.has_tenant == attempt.has_tenant && known.address == attempt.address &&
            known.reason == attempt.reason && known.has_bound == attempt.has_bound &&
            known.bound == attempt.bound) {
            attempt.count = known.count == 0xFFFF'FFFF ? known.count : known.count + 1;
            *it = {std::move(attempt), next_order_++};
            return;
        }
        if (it->order < oldest->order) oldest = it;
    }
    if (lines_.size() < lines_max_) {
        lines_.push_back({std::move(attempt), next_order_++});
    } else {
        *oldest = {std::move(attempt), next_order_++};
    }
}

std::vector<RefusedAttempt> RefusedAttempts::newest(std::size_t max) const {
    std::vector<Line> lines = lines_;
    std::ranges::sort(lines, std::ranges::greater{}, &Line::order);
    std::vector<RefusedAttempt> attempts;
    for (Line& line : lines) {
        if (attempts.size() == max) break;
        attempts.push_back(std::move(line.attempt));
    }
    return attempts;
}

std::vector<RefusedAttempt> RefusedAttempts::of_client(TenantId tenant,
                                                       std::string_view client_id) const {
    auto attempts = newest(lines_max_);
    const std::string_view name = client_id.substr(0, client_id_bytes_max);
    std::erase_if(attempts, [&](const RefusedAttempt& attempt) {
        return (attempt.has_tenant && attempt.tenant != tenant) || attempt.client_id != name;
    });
    return attempts;
}

}  // namespace mitu::admission
