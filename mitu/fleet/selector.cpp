#include "mitu/fleet/selector.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>

namespace mitu::fleet {
namespace {

bool has_label(std::span<const Label> labels, const Label& label) noexcept {
    const auto at = std::lower_bound(labels.begin(), labels.end(), label);
    return at != labels.end() && *at == label;
}

bool fits(std::string_view wanted, std::string_view actual) noexcept {
    return wanted.empty() || wanted == actual;
}

/// Names as numbers, so that comparing all pairs costs two comparisons each. 0: any.
class Numbers {
public:
    std::uint32_t of(std::string_view name) {
        if (name.empty()) return 0;
        return numbers_.try_emplace(name, static_cast<std::uint32_t>(numbers_.size()) + 1)
            .first->second;
    }

private:
    std::map<std::string_view, std::uint32_t> numbers_;
};

struct Row {
    std::uint32_t specificity;
    std::uint32_t tenant;
    std::uint32_t class_name;
    std::size_t index;
};

bool numbers_meet(std::uint32_t a, std::uint32_t b) noexcept { return a == 0 || b == 0 || a == b; }

/// Whether a more specific selector takes every device that both of `united` select.
bool is_settled(const Selector& united, std::uint32_t specificity,
                std::span<const Selector* const> selectors) noexcept {
    return std::any_of(selectors.begin(), selectors.end(), [&](const Selector* other) {
        return other->specificity() > specificity &&
               selects(*other, united.tenant, united.class_name, united.labels);
    });
}

}  // namespace

bool selects(const Selector& selector, std::string_view tenant, std::string_view class_name,
             std::span<const Label> labels) noexcept {
    return fits(selector.tenant, tenant) && fits(selector.class_name, class_name) &&
           std::all_of(selector.labels.begin(), selector.labels.end(),
                       [&](const Label& label) { return has_label(labels, label); });
}

bool may_meet(const Selector& a, const Selector& b) noexcept {
    if (!a.tenant.empty() && !fits(b.tenant, a.tenant)) return false;
    if (!a.class_name.empty() && !fits(b.class_name, a.class_name)) return false;
    return std::none_of(a.labels.begin(), a.labels.end(), [&](const Label& label) {
        return std::any_of(b.labels.begin(), b.labels.end(), [&](const Label& other) {
            return other.key == label.key && other.value != label.value;
        });
    });
}

Selector unite(const Selector& a, const Selector& b) {
    Selector both{a.tenant.empty() ? b.tenant : a.tenant,
                  a.class_name.empty() ? b.class_name : a.class_name, a.labels};
    both.labels.insert(both.labels.end(), b.labels.begin(), b.labels.end());
    std::sort(both.labels.begin(), both.labels.end());
    both.labels.erase(std::unique(both.labels.begin(), both.labels.end()), both.labels.end());
    return both;
}

std::string describe(const Selector& selector) {
    std::vector<std::string> parts;
    if (!selector.tenant.empty()) parts.push_back("tenant " + selector.tenant);
    if (!selector.class_name.empty()) parts.push_back("class " + selector.class_name);
    for (const Label& label : selector.labels) {
        parts.push_back(fmt::format("label {}={}", label.key, label.value));
    }
    if (parts.empty()) return "any device";
    return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<std::pair<std::size_t, std::size_t>> find_ties(
    std::span<const Selector* const> selectors) {
    Numbers tenants;
    Numbers classes;
    std::vector<Row> rows;
    rows.reserve(selectors.size());
    for (std::size_t i = 0; i < selectors.size(); ++i) {
        rows.push_back({selectors[i]->specificity(), tenants.of(selectors[i]->tenant),
                        classes.of(selectors[i]->class_name), i});
    }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
        return std::pair{a.specificity, a.index} < std::pair{b.specificity, b.index};
    });

    std::vector<std::pair<std::size_t, std::size_t>> ties;
    for (std::size_t second = 0; second < rows.size(); ++second) {
        for (std::size_t first = second; first-- > 0;) {
            if (rows[first].specificity != rows[second].specificity) break;
            if (!numbers_meet(rows[first].tenant, rows[second].tenant) ||
                !numbers_meet(rows[first].class_name, rows[second].class_name)) {
                continue;
            }
            const Selector& a = *selectors[rows[first].index];
            const Selector& b = *selectors[rows[second].index];
            if (!may_meet(a, b) || is_settled(unite(a, b), rows[second].specificity, selectors)) {
                continue;
            }
            ties.emplace_back(rows[first].index, rows[second].index);
            break;
        }
    }
    return ties;
}

}  // namespace mitu::fleet
