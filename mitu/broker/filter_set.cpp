#include "mitu/broker/filter_set.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "mitu/base/check.hpp"
#include "mitu/base/hash.hpp"

namespace mitu::broker {

/// Texts in one block of malloc, which can grow where it stands; offsets of 4 bytes name them.
class FilterSet::Texts {
public:
    static constexpr std::uint32_t none = 0xFFFF'FFFF;

    Texts() = default;
    ~Texts() { std::free(bytes_); }
    Texts(const Texts&) = delete;
    Texts& operator=(const Texts&) = delete;

    [[nodiscard]] std::uint32_t count() const noexcept { return count_; }

    [[nodiscard]] std::uint32_t find(std::string_view text) const noexcept {
        if (table_.empty()) {
            for (std::uint32_t at = 0; at < used_; at += record_bytes(at)) {
                if (text_at(at) == text) return at;
            }
            return none;
        }
        for (std::size_t i = home_of(text); table_[i] != none; i = next(i)) {
            if (text_at(table_[i]) == text) return table_[i];
        }
        return none;
    }

    void add(std::string_view text) {
        const bool is_full = table_.empty() ? count_ == scanned_max
                                            : (count_ + 1) * std::size_t{4} > table_.size() * 3;
        if (is_full) rebuild_table();
        const std::uint32_t at = append(text);
        ++count_;
        if (!table_.empty()) place(at);
    }

    void remove(std::uint32_t at) {
        --count_;
        const std::uint32_t size = record_bytes(at);
        if (table_.empty()) {
            std::memmove(bytes_ + at, bytes_ + at + size, used_ - at - size);
            used_ -= size;
            return;
        }
        unplace(at);
        dead_bytes_ += size;
        if (dead_bytes_ > used_ / 2) compact();
    }

    template <class Visit>
    void for_each(Visit visit) const {
        if (table_.empty()) {
            for (std::uint32_t at = 0; at < used_; at += record_bytes(at)) visit(text_at(at));
            return;
        }
        for (const std::uint32_t at : table_) {
            if (at != none) visit(text_at(at));
        }
    }

private:
    static constexpr std::uint32_t scanned_max = 8;
    static constexpr std::uint32_t block_bytes_min = 24;  // what malloc gives at least
    static constexpr std::uint32_t block_bytes_max = 0xFFFF'0000;

    [[nodiscard]] std::uint16_t text_bytes(std::uint32_t at) const noexcept {
        std::uint16_t size = 0;
        std::memcpy(&size, bytes_ + at, sizeof(size));
        return size;
    }
    [[nodiscard]] std::uint32_t record_bytes(std::uint32_t at) const noexcept {
        return text_bytes(at) + std::uint32_t{sizeof(std::uint16_t)};
    }
    [[nodiscard]] std::string_view text_at(std::uint32_t at) const noexcept {
        return {bytes_ + at + sizeof(std::uint16_t), text_bytes(at)};
    }

    std::uint32_t append(std::string_view text) {
        MITU_CHECK(text.size() <= 0xFFFF);
        const auto size = static_cast<std::uint16_t>(text.size());
        const std::uint32_t needed = used_ + size + std::uint32_t{sizeof(size)};
        MITU_CHECK(needed <= block_bytes_max);
        if (needed > capacity_) {
            // A quarter more, and not for the first text: most sessions have no second one.
            const std::uint32_t wanted =
                used_ == 0 ? needed : std::max(needed, used_ + std::min(used_ / 4, 1u << 20));
            const std::uint32_t capacity = std::max(wanted, block_bytes_min);
            void* const bigger = std::realloc(bytes_, capacity);
            if (bigger == nullptr) throw std::bad_alloc{};
            bytes_ = static_cast<char*>(bigger);
            capacity_ = capacity;
        }
        const std::uint32_t at = used_;
        std::memcpy(bytes_ + at, &size, sizeof(size));
        std::memcpy(bytes_ + at + sizeof(size), text.data(), text.size());
        used_ = needed;
        return at;
    }

    // --- the table: linear probing, at most three quarters full ---

    [[nodiscard]] std::size_t home_of(std::string_view text) const noexcept {
        const std::uint64_t low = hash_bytes(text) & 0xFFFF'FFFF;
        return static_cast<std::size_t>((low * table_.size()) >> 32);
    }
    [[nodiscard]] std::size_t next(std::size_t i) const noexcept {
        return i + 1 == table_.size() ? 0 : i + 1;
    }
    [[nodiscard]] std::size_t distance(std::size_t from, std::size_t i) const noexcept {
        return i >= from ? i - from : i + table_.size() - from;
    }
    void place(std::uint32_t at) noexcept {
        std::size_t i = home_of(text_at(at));
        while (table_[i] != none) i = next(i);
        table_[i] = at;
    }
    void unplace(std::uint32_t at) noexcept {
        std::size_t gap = home_of(text_at(at));
        while (table_[gap] != at) gap = next(gap);
        table_[gap] = none;
        for (std::size_t i = next(gap); table_[i] != none; i = next(i)) {
            // Moves if its ideal place is not between the gap (exclusive) and here (inclusive).
            if (distance(home_of(text_at(table_[i])), i) >= distance(gap, i)) {
                table_[gap] = table_[i];
                table_[i] = none;
                gap = i;
            }
        }
    }
    /// Half as large again, so that it is at least half full.
    void rebuild_table() {
        std::vector<std::uint32_t> old(std::max<std::size_t>(16, table_.size() + table_.size() / 2),
                                       none);
        old.swap(table_);
        if (old.empty()) {
            for (std::uint32_t at = 0; at < used_; at += record_bytes(at)) place(at);
            return;
        }
        for (const std::uint32_t at : old) {
            if (at != none) place(at);
        }
    }

    /// Texts that are gone leave holes; when they are more than half, the others move together.
    void compact() {
        Texts packed;
        for_each([&](std::string_view text) { packed.add(text); });
        std::swap(bytes_, packed.bytes_);
        std::swap(used_, packed.used_);
        std::swap(capacity_, packed.capacity_);
        table_.swap(packed.table_);
        dead_bytes_ = 0;
    }

    char* bytes_ = nullptr;
    std::uint32_t used_ = 0;
    std::uint32_t capacity_ = 0;
    std::uint32_t dead_bytes_ = 0;
    std::uint32_t count_ = 0;
    std::vector<std::uint32_t> table_;
};

FilterSet::FilterSet() = default;
FilterSet::~FilterSet() = default;

bool FilterSet::contains(std::string_view filter) const noexcept {
    return texts_ && texts_->find(filter) != Texts::none;
}

bool FilterSet::add(std::string_view filter) {
    if (!texts_) {
        texts_ = std::make_unique<Texts>();
    } else if (texts_->find(filter) != Texts::none) {
        return false;
    }
    texts_->add(filter);
    return true;
}

bool FilterSet::remove(std::string_view filter) {
    if (!texts_) return false;
    const std::uint32_t at = texts_->find(filter);
    if (at == Texts::none) return false;
    texts_->remove(at);
    if (texts_->count() == 0) texts_.reset();
    return true;
}

std::size_t FilterSet::size() const noexcept { return texts_ ? texts_->count() : 0; }

std::vector<std::string_view> FilterSet::sorted() const {
    std::vector<std::string_view> texts;
    if (!texts_) return texts;
    texts.reserve(texts_->count());
    texts_->for_each([&](std::string_view text) { texts.push_back(text); });
    std::sort(texts.begin(), texts.end());
    return texts;
}

}  // namespace mitu::broker
