#include "mitu/broker/filter_set.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/base/hash.hpp"

namespace mitu::broker {
namespace {

constexpr std::uint32_t scanned_max = 8;
constexpr std::uint32_t block_bytes_min = 32;  // what the session's memory gives at least
constexpr std::uint32_t block_bytes_max = 0xFFFF'0000;

}  // namespace

// --- texts, one behind the other ---

std::uint32_t FilterSet::Texts::record_bytes(std::uint32_t at) const noexcept {
    std::uint16_t size = 0;
    std::memcpy(&size, bytes + at, sizeof(size));
    return size + std::uint32_t{sizeof(size)};
}

std::string_view FilterSet::Texts::text_at(std::uint32_t at) const noexcept {
    return {bytes + at + sizeof(std::uint16_t), record_bytes(at) - sizeof(std::uint16_t)};
}

template <class Visit>
void FilterSet::Texts::for_each(Visit visit) const {
    if (table.empty()) {
        for (std::uint32_t at = 0; at < used; at += record_bytes(at)) visit(text_at(at));
        return;
    }
    for (const std::uint32_t at : table) {
        if (at != none) visit(text_at(at));
    }
}

std::uint32_t FilterSet::Texts::find(std::string_view text) const noexcept {
    if (table.empty()) {
        for (std::uint32_t at = 0; at < used; at += record_bytes(at)) {
            if (text_at(at) == text) return at;
        }
        return none;
    }
    for (std::size_t i = home_of(text); table[i] != none; i = next(i)) {
        if (text_at(table[i]) == text) return table[i];
    }
    return none;
}

bool FilterSet::Texts::make_room(SessionMemory& memory, std::uint32_t needed) {
    if (needed <= capacity) return true;
    // A quarter more, and not for the first text: most sessions have no second one.
    const std::uint32_t wanted =
        used == 0 ? needed : std::max(needed, used + std::min(used / 4, 1u << 20));
    const auto size =
        static_cast<std::uint32_t>(SessionMemory::usable_bytes(std::max(wanted, block_bytes_min)));
    auto* const bigger = static_cast<char*>(memory.try_allocate(size));
    if (bigger == nullptr) return false;
    if (used != 0) std::memcpy(bigger, bytes, used);
    if (bytes != nullptr) memory.give_back(bytes, capacity);
    bytes = bigger;
    capacity = size;
    return true;
}

/// False: no room, and nothing changed.
bool FilterSet::Texts::add(SessionMemory& memory, std::string_view text) {
    MITU_CHECK(text.size() <= 0xFFFF);
    const auto size = static_cast<std::uint16_t>(text.size());
    const std::uint64_t needed = std::uint64_t{used} + size + sizeof(size);
    if (needed > block_bytes_max) return false;
    if (!make_room(memory, static_cast<std::uint32_t>(needed))) return false;
    const bool is_full =
        table.empty() ? count == scanned_max : (count + 1) * std::size_t{4} > table.size() * 3;
    if (is_full && !make_table(memory)) return false;
    const std::uint32_t at = used;
    MITU_CHECK(bytes != nullptr);  // there is room
    std::memcpy(bytes + at, &size, sizeof(size));
    std::memcpy(bytes + at + sizeof(size), text.data(), text.size());
    used = static_cast<std::uint32_t>(needed);
    ++count;
    if (!table.empty()) place(at);
    return true;
}

void FilterSet::Texts::remove(SessionMemory& memory, std::uint32_t at) {
    --count;
    const std::uint32_t size = record_bytes(at);
    if (table.empty()) {
        std::memmove(bytes + at, bytes + at + size, used - at - size);
        used -= size;
        return;
    }
    unplace(at);
    dead_bytes += size;
    if (dead_bytes > used / 2) compact(memory);
}

void FilterSet::Texts::free(SessionMemory& memory) noexcept {
    if (bytes != nullptr) memory.give_back(bytes, capacity);
    table.free(memory);
    *this = Texts{};
}

// --- the table: linear probing, at most three quarters full ---

std::size_t FilterSet::Texts::home_of(std::string_view text) const noexcept {
    const std::uint64_t low = hash_bytes(text) & 0xFFFF'FFFF;
    return static_cast<std::size_t>((low * table.size()) >> 32);
}

std::size_t FilterSet::Texts::next(std::size_t i) const noexcept {
    return i + 1 == table.size() ? 0 : i + 1;
}

std::size_t FilterSet::Texts::distance(std::size_t from, std::size_t i) const noexcept {
    return i >= from ? i - from : i + table.size() - from;
}

void FilterSet::Texts::place(std::uint32_t at) noexcept {
    std::size_t i = home_of(text_at(at));
    while (table[i] != none) i = next(i);
    table[i] = at;
}

void FilterSet::Texts::unplace(std::uint32_t at) noexcept {
    std::size_t gap = home_of(text_at(at));
    while (table[gap] != at) gap = next(gap);
    table[gap] = none;
    for (std::size_t i = next(gap); table[i] != none; i = next(i)) {
        // Moves if its ideal place is not between the gap (exclusive) and here (inclusive).
        if (distance(home_of(text_at(table[i])), i) >= distance(gap, i)) {
            table[gap] = table[i];
            table[i] = none;
            gap = i;
        }
    }
}

/// Half as large again, so that it is at least half full. False: no room, and nothing changed.
bool FilterSet::Texts::make_table(SessionMemory& memory) {
    memory::ArenaVector<std::uint32_t> bigger;
    const std::size_t size = std::max<std::size_t>(16, table.size() + table.size() / 2);
    if (!bigger.try_reserve(memory, size)) return false;
    std::fill_n(bigger.extend(memory, size), size, none);
    std::swap(bigger, table);
    if (bigger.empty()) {
        for (std::uint32_t at = 0; at < used; at += record_bytes(at)) place(at);
    }
    for (const std::uint32_t at : bigger) {
        if (at != none) place(at);
    }
    bigger.free(memory);
    return true;
}

/// Texts that are gone leave holes; when they are more than half, the others move together. Without
/// room for that the holes stay.
void FilterSet::Texts::compact(SessionMemory& memory) {
    Texts packed;
    bool is_whole = true;
    for_each([&](std::string_view text) { is_whole = is_whole && packed.add(memory, text); });
    if (!is_whole) {
        packed.free(memory);
        return;
    }
    free(memory);
    *this = packed;
}

// --- the set ---

std::string_view FilterSet::text_in(const char* record) noexcept {
    std::uint16_t size = 0;
    std::memcpy(&size, record, sizeof(size));
    return {record + sizeof(size), size};
}

bool FilterSet::contains(std::string_view filter) const noexcept {
    if (const char* const one = only()) return text_in(one) == filter;
    return texts() != nullptr && texts()->find(filter) != Texts::none;
}

bool FilterSet::add_only(SessionMemory& memory, std::string_view filter) {
    MITU_CHECK(filter.size() <= 0xFFFF);
    const auto size = static_cast<std::uint16_t>(filter.size());
    void* const room = memory.try_allocate(sizeof(size) + size);
    if (room == nullptr) return false;
    auto* const record = static_cast<char*>(room);
    std::memcpy(record, &size, sizeof(size));
    std::memcpy(record + sizeof(size), filter.data(), size);
    held_ = reinterpret_cast<std::uintptr_t>(room) | is_one_text;
    return true;
}

/// What there is, as Texts. False: no room, and nothing changed.
bool FilterSet::make_texts(SessionMemory& memory) {
    void* const room = memory.try_allocate(sizeof(Texts));
    if (room == nullptr) return false;
    auto* const texts = ::new (room) Texts{};
    if (char* const one = only()) {
        const std::string_view text = text_in(one);
        if (!texts->add(memory, text)) {
            memory.give_back(room, sizeof(Texts));
            return false;
        }
        memory.give_back(one, sizeof(std::uint16_t) + text.size());
    }
    held_ = reinterpret_cast<std::uintptr_t>(room);
    return true;
}

FilterSet::Added FilterSet::add(SessionMemory& memory, std::string_view filter) {
    if (contains(filter)) return Added::was_there;
    if (held_ == 0) return add_only(memory, filter) ? Added::yes : Added::no_room;
    if (texts() == nullptr && !make_texts(memory)) return Added::no_room;
    return texts()->add(memory, filter) ? Added::yes : Added::no_room;
}

bool FilterSet::remove(SessionMemory& memory, std::string_view filter) {
    if (char* const one = only()) {
        if (text_in(one) != filter) return false;
        memory.give_back(one, sizeof(std::uint16_t) + filter.size());
        held_ = 0;
        return true;
    }
    if (texts() == nullptr) return false;
    const std::uint32_t at = texts()->find(filter);
    if (at == Texts::none) return false;
    texts()->remove(memory, at);
    if (texts()->count == 0) {
        texts()->free(memory);
        memory.give_back(texts(), sizeof(Texts));
        held_ = 0;
    }
    return true;
}

std::size_t FilterSet::size() const noexcept {
    if (only() != nullptr) return 1;
    return texts() != nullptr ? texts()->count : 0;
}

memory::ArenaVector<std::string_view> FilterSet::sorted(memory::Arena& scratch) const {
    memory::ArenaVector<std::string_view> list;
    if (held_ == 0) return list;
    if (!list.try_reserve(scratch, size())) {
        memory::raise_fault(memory::ZoneFault::no_memory, "no room to sort the filters");
    }
    if (const char* const one = only()) {
        list.push_back(scratch, text_in(one));
        return list;
    }
    texts()->for_each([&](std::string_view text) { list.push_back(scratch, text); });
    std::sort(list.begin(), list.end());
    return list;
}

}  // namespace mitu::broker
