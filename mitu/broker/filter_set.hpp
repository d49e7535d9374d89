#pragma once
// FilterSet: the topic filters of one session, each text once and little beside it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace mitu::broker {

/// A set of texts that stand one behind the other, 2 bytes beside each; from the ninth on there is
/// a table of their offsets. A session without subscriptions has 8 bytes of this.
/// Threading  shard-local.
/// Cost       a look-up: a scan of at most 8 texts, or one hash. Growth moves the texts of this one
///            session.
/// Order      sorted() goes by text, whatever was added when.
class FilterSet {
public:
    FilterSet();
    ~FilterSet();
    FilterSet(const FilterSet&) = delete;
    FilterSet& operator=(const FilterSet&) = delete;

    [[nodiscard]] bool contains(std::string_view filter) const noexcept;
    /// Shape  up to 65'535 bytes. False: it was there.
    bool add(std::string_view filter);
    /// False: it was not there.
    bool remove(std::string_view filter);
    [[nodiscard]] std::size_t size() const noexcept;
    /// Lifetime  the texts stay until the set changes.
    [[nodiscard]] std::vector<std::string_view> sorted() const;

private:
    class Texts;
    std::unique_ptr<Texts> texts_;  // null: empty
};

}  // namespace mitu::broker
