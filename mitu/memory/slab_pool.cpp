#include "mitu/memory/slab_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/memory/poison.hpp"

namespace mitu::memory {
namespace {

#ifdef MITU_AUDITS
// Behind what the owner asked for, where a block ends.
constexpr std::uint32_t canary_bytes = 8;
constexpr std::uint64_t canary = 0xC0FF'EE5A'FEB1'0C4Bull;
#else
constexpr std::uint32_t canary_bytes = 0;
#endif

}  // namespace

SlabPool::SlabPool(const SlabPoolOptions& options) : options_{options} {
    with_room_.fill(none);
    free_large_.fill(none);
}

SlabPool::~SlabPool() {
    if (memory_) unpoison(base_, memory_->open_bytes());
}

// --- sizes ---

std::uint32_t SlabPool::class_of(std::size_t size_bytes) noexcept {
    if (size_bytes <= block_bytes_min) return 0;
    if (size_bytes <= fine_bytes_max) {
        return static_cast<std::uint32_t>((size_bytes + 15) / 16 - block_bytes_min / 16);
    }
    // 2^n < size <= 2^(n+1): a quarter of 2^n is the step.
    const auto n = static_cast<std::uint32_t>(std::bit_width(size_bytes - 1)) - 1;
    const std::size_t step = std::size_t{1} << (n - 2);
    const auto quarter =
        static_cast<std::uint32_t>((size_bytes - (std::size_t{1} << n) + step - 1) / step);
    return 6 + (n - 7) * 4 + quarter;
}

std::uint32_t SlabPool::class_bytes(std::uint32_t size_class) noexcept {
    if (size_class <= 6) return block_bytes_min + size_class * 16;
    const std::uint32_t above = size_class - 7;
    const std::uint32_t n = 7 + above / 4;
    return (1u << n) + (above % 4 + 1) * (1u << (n - 2));
}

std::uint32_t SlabPool::order_of(std::size_t size_bytes) noexcept {
    const std::size_t spans = (size_bytes + span_bytes - 1) >> span_log2;
    return spans <= 1 ? 0 : static_cast<std::uint32_t>(std::bit_width(spans - 1));
}

std::size_t SlabPool::usable_bytes(std::size_t size_bytes) noexcept {
    if (size_bytes > large_bytes_max - canary_bytes) return size_bytes;  // never given
    const std::size_t wanted = size_bytes + canary_bytes;
    const std::size_t given = wanted <= small_bytes_max
                                  ? class_bytes(class_of(wanted))
                                  : std::size_t{span_bytes} << order_of(wanted);
    return given - canary_bytes;
}

// --- where blocks are ---

std::uint8_t* SlabPool::block_at(std::uint32_t id) const noexcept {
    const std::uint32_t number = id >> block_log2;
    const Span& span = spans_[number];
    return base_ + (std::size_t{number} << span_log2) +
           std::size_t{id & (blocks_per_span - 1)} * span.block_bytes;
}

/// none: no block of ours begins there.
std::uint32_t SlabPool::id_of(const void* block) const noexcept {
    const auto* const at = static_cast<const std::uint8_t*>(block);
    if (base_ == nullptr || at < base_) return none;
    const auto offset = static_cast<std::size_t>(at - base_);
    const std::size_t number = offset >> span_log2;
    if (number >= spans_used_) return none;
    const Span& span = spans_[number];
    const auto within = static_cast<std::uint32_t>(offset & (span_bytes - 1));
    // Exact: both factors are below 2^16, or there is but one block.
    const auto index = static_cast<std::uint32_t>((std::uint64_t{within} * span.reciprocal) >> 32);
    if (index * span.block_bytes != within || index >= span.fresh) return none;
    return (static_cast<std::uint32_t>(number) << block_log2) | index;
}

void SlabPool::write_canary([[maybe_unused]] std::uint32_t id) noexcept {
#ifdef MITU_AUDITS
    std::uint8_t* const end = block_at(id) + spans_[id >> block_log2].block_bytes;
    std::memcpy(end - canary_bytes, &canary, canary_bytes);
    poison(end - canary_bytes, canary_bytes);
#endif
}

void SlabPool::check_canary([[maybe_unused]] std::uint32_t id) const noexcept {
#ifdef MITU_AUDITS
    const std::uint8_t* const end = block_at(id) + spans_[id >> block_log2].block_bytes;
    unpoison(end - canary_bytes, canary_bytes);
    std::uint64_t found = 0;
    std::memcpy(&found, end - canary_bytes, canary_bytes);
    MITU_CHECK_MSG(found == canary, "somebody wrote beyond the end of a block");
#endif
}

// --- spans ---

bool SlabPool::open(std::uint32_t span_count) noexcept {
    if (!memory_) {
        const std::uint64_t count =
            std::min(options_.pool_bytes_max >> span_log2, std::uint64_t{spans_max});
        memory_ = Reservation::make(count << span_log2);
        notes_memory_ = Reservation::make(count * note_bytes_per_span);
        if (!memory_ || !notes_memory_) {
            memory_.reset();
            return false;
        }
        base_ = memory_->data();
        notes_ = reinterpret_cast<BlockNote*>(notes_memory_->data());
    }
    const std::size_t wanted = std::size_t{spans_used_} + span_count;
    if (wanted <= spans_.size()) return true;
    const std::size_t end = std::max(wanted, spans_.size() + spans_opened);
    const auto open_to = [&](std::size_t count) {
        return memory_->open(count << span_log2) &&
               notes_memory_->open(count * note_bytes_per_span);
    };
    // At the end of the range there may be room for what is wanted, and not for more.
    std::size_t opened = end;
    if (!open_to(end)) {
        if (!open_to(wanted)) return false;
        opened = wanted;
    }
    poison(base_ + (spans_.size() << span_log2), (opened - spans_.size()) << span_log2);
    try {
        spans_.resize(opened);
    } catch (const std::bad_alloc&) {
        return false;
    }
    return true;
}

std::uint32_t SlabPool::take_span() noexcept {
    std::uint32_t& head = spare_spans_ != none ? spare_spans_ : free_spans_;
    if (head != none) {
        const std::uint32_t span = head;
        if (spans_[span].is_resident) {
            --spare_span_count_;
            spare_span_low_ = std::min(spare_span_low_, spare_span_count_);
        }
        head = spans_[span].next;
        return span;
    }
    return open(1) ? spans_used_++ : take_run(1);
}

/// The addresses are used up: takes spans from what is free, whatever it was cut for. A run that is
/// not there is not looked for again before there is something new to find.
std::uint32_t SlabPool::take_run(std::uint32_t span_count) noexcept {
    put_by_empty();
    if (span_count >= run_missing_) return none;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    while (end - begin < span_count && end < spans_used_) {
        const Span& span = spans_[end];
        const bool is_large = span.size_class == large_class;
        end += is_large ? 1u << span.order : 1;
        if (span.size_class != no_class && !(is_large && span.used == 0)) begin = end;
    }
    if (end - begin < span_count) {
        run_missing_ = span_count;
        return none;
    }
    leave_lists(begin, end);
    for (std::uint32_t rest = begin + span_count; rest < end; ++rest) {
        spans_[rest].next = free_spans_;
        free_spans_ = rest;
    }
    return begin;
}

/// The free spans of [begin, end) are in no list any more, and are nothing yet.
void SlabPool::leave_lists(std::uint32_t begin, std::uint32_t end) noexcept {
    const auto filter = [&](std::uint32_t& head) {
        for (std::uint32_t* at = &head; *at != none;) {
            Span& span = spans_[*at];
            if (*at < begin || *at >= end) {
                at = &span.next;
                continue;
            }
            if (span.is_resident && span.size_class == large_class) {
                spare_large_bytes_ -= span.block_bytes;
            } else if (span.is_resident) {
                --spare_span_count_;
            }
            *at = span.next;
        }
    };
    filter(free_spans_);
    filter(spare_spans_);
    for (std::uint32_t& head : free_large_) filter(head);
    std::fill(spans_.begin() + begin, spans_.begin() + end, Span{});
    memory_->give_back(std::size_t{begin} << span_log2, std::size_t{end - begin} << span_log2);
}

/// Nothing in the span is out any more: whoever needs one next, for whatever size, gets it.
void SlabPool::put_by(std::uint32_t span) noexcept {
    unlist(span);
    stats_.open -= span_bytes;
    const bool stays = spare_span_count_ < spare_spans_max;
    if (stays) {
        ++spare_span_count_;
    } else {
        memory_->give_back(std::size_t{span} << span_log2, span_bytes);
        notes_memory_->give_back(std::size_t{span} * note_bytes_per_span, note_bytes_per_span);
    }
    std::uint32_t& head = stays ? spare_spans_ : free_spans_;
    spans_[span] = Span{};
    spans_[span].is_resident = stays;
    spans_[span].next = head;
    head = span;
    run_missing_ = none;
}

/// Those that stayed as the only ones of their size.
void SlabPool::put_by_empty() noexcept {
    for (const std::uint32_t number : with_room_) {
        if (number != none && spans_[number].used == 0) put_by(number);
    }
}

void SlabPool::trim() noexcept {
    put_by_empty();
    for (std::uint32_t unneeded = std::min(spare_span_low_, spare_span_count_);
         unneeded > spare_spans_min; --unneeded) {
        const std::uint32_t span = spare_spans_;
        spare_spans_ = spans_[span].next;
        --spare_span_count_;
        memory_->give_back(std::size_t{span} << span_log2, span_bytes);
        notes_memory_->give_back(std::size_t{span} * note_bytes_per_span, note_bytes_per_span);
        spans_[span].is_resident = false;
        spans_[span].next = free_spans_;
        free_spans_ = span;
    }
    spare_span_low_ = spare_span_count_;
}

void SlabPool::list(std::uint32_t number) noexcept {
    Span& span = spans_[number];
    std::uint32_t& head = with_room_[span.size_class];
    span.previous = none;
    span.next = head;
    if (head != none) spans_[head].previous = number;
    head = number;
}

void SlabPool::unlist(std::uint32_t number) noexcept {
    const Span& span = spans_[number];
    (span.previous == none ? with_room_[span.size_class] : spans_[span.previous].next) = span.next;
    if (span.next != none) spans_[span.next].previous = span.previous;
}

// --- blocks ---

void SlabPool::hand_out(SlabHolding& holding, std::uint32_t id, std::uint64_t size_bytes) noexcept {
    if (holding.key == 0) holding.key = new_key();
    notes_[id] = {none ^ holding.key, holding.first ^ holding.key};
    if (holding.first != none) notes_[holding.first].previous = id ^ holding.key;
    holding.first = id;
    ++holding.block_count;
    holding.held_bytes += size_bytes;
    stats_.held += size_bytes;
    ++stats_.block_count;
    unpoison(block_at(id), size_bytes);
    write_canary(id);
}

/// Never 0. They come again after 2^31 holdings.
std::uint32_t SlabPool::new_key() noexcept {
    key_count_ = (key_count_ + 1) & none;
    if (key_count_ == 0) key_count_ = 1;
    return (key_count_ * 0x9E37'79B1u) & none;  // odd: one to one
}

bool SlabPool::has(const SlabHolding& holding, std::uint32_t id) const noexcept {
    if (id == none || holding.first == none) return false;
    const BlockNote& note = notes_[id];
    if (note.previous == free_mark) return false;
    const std::uint32_t previous = note.previous ^ holding.key;
    if (previous == none) return holding.first == id;
    return previous >> block_log2 < spans_used_ && (notes_[previous].next ^ holding.key) == id;
}

/// The last part of the pool is for small blocks: what nobody can go on without stays to be had
/// when a few have filled the rest with what they could do without.
bool SlabPool::is_reserved(std::uint64_t block_bytes, std::uint64_t opened_bytes) const noexcept {
    return block_bytes > reserved_block_bytes_max &&
           stats_.open + opened_bytes >
               options_.pool_bytes_max - options_.pool_bytes_max / reserved_divisor;
}

void* SlabPool::allocate(SlabHolding& holding, std::size_t size_bytes) noexcept {
    const ZonePause pause;
    if (size_bytes > large_bytes_max - canary_bytes) return refuse(ZoneFault::budget_spent);
    const std::size_t wanted = size_bytes + canary_bytes;
    if (wanted > small_bytes_max) return allocate_large(holding, wanted);
    const std::uint32_t size_class = class_of(wanted);
    const std::uint32_t bytes = class_bytes(size_class);
    if (holding.held_bytes + bytes > options_.holding_bytes_max) {
        return refuse(ZoneFault::budget_spent);
    }
    std::uint32_t number = with_room_[size_class];
    if (number == none) {
        if (is_reserved(bytes, span_bytes)) return refuse(ZoneFault::no_memory);
        number = take_span();
        if (number == none) return refuse(ZoneFault::no_memory);
        spans_[number] = Span{.block_bytes = bytes,
                              .reciprocal = 0xFFFF'FFFFu / bytes + 1,
                              .block_count = static_cast<std::uint16_t>(span_bytes / bytes),
                              .size_class = static_cast<std::uint8_t>(size_class)};
        stats_.open += span_bytes;
        list(number);
    }
    Span& span = spans_[number];
    std::uint32_t index = span.free_head;
    if (index != 0xFFFF) {
        span.free_head = static_cast<std::uint16_t>(notes_[(number << block_log2) | index].next);
        ++stats_.reused_total;
    } else {
        index = span.fresh++;
        ++stats_.fresh_total;
    }
    if (++span.used == span.block_count) unlist(number);
    const std::uint32_t id = (number << block_log2) | index;
    hand_out(holding, id, bytes);
    return base_ + (std::size_t{number} << span_log2) + std::size_t{index} * bytes;
}

void* SlabPool::allocate_large(SlabHolding& holding, std::size_t size_bytes) noexcept {
    const std::uint32_t order = order_of(size_bytes);
    const std::uint64_t bytes = std::uint64_t{span_bytes} << order;
    if (holding.held_bytes + bytes > options_.holding_bytes_max) {
        return refuse(ZoneFault::budget_spent);
    }
    if (is_reserved(bytes, bytes)) return refuse(ZoneFault::no_memory);
    std::uint32_t number = free_large_[order];
    if (number != none) {
        free_large_[order] = spans_[number].next;
        if (spans_[number].is_resident) spare_large_bytes_ -= bytes;
        ++stats_.reused_total;
    } else {
        const std::uint32_t count = 1u << order;
        if (open(count)) {
            number = spans_used_;
            spans_used_ += count;
        } else {
            number = take_run(count);
            if (number == none) return refuse(ZoneFault::no_memory);
        }
        ++stats_.fresh_total;
    }
    spans_[number] = Span{.used = 1,
                          .block_bytes = static_cast<std::uint32_t>(bytes),
                          .block_count = 1,
                          .size_class = large_class,
                          .order = static_cast<std::uint8_t>(order),
                          .fresh = 1};
    stats_.open += bytes;
    hand_out(holding, number << block_log2, bytes);
    return base_ + (std::size_t{number} << span_log2);
}

/// The block is nobody's any more; the holding's list is the caller's.
void SlabPool::take_back(std::uint32_t id) noexcept {
    const std::uint32_t number = id >> block_log2;
    Span& span = spans_[number];
    check_canary(id);
    const std::uint64_t bytes = span.block_bytes;
    poison(block_at(id), bytes);
    stats_.held -= bytes;
    --stats_.block_count;
    notes_[id].previous = free_mark;
    if (span.size_class == large_class) {
        stats_.open -= bytes;
        span.used = 0;
        span.fresh = 0;
        span.is_resident = spare_large_bytes_ + bytes <= spare_large_bytes_max;
        if (span.is_resident) {
            spare_large_bytes_ += bytes;
        } else {
            memory_->give_back(std::size_t{number} << span_log2, bytes);
            notes_memory_->give_back(std::size_t{number} * note_bytes_per_span, page_bytes);
        }
        span.next = free_large_[span.order];
        free_large_[span.order] = number;
        run_missing_ = none;
        return;
    }
    const auto index = static_cast<std::uint16_t>(id & (blocks_per_span - 1));
    const bool was_full = span.used == span.block_count;
    notes_[id].next = span.free_head;
    span.free_head = index;
    if (was_full) list(number);
    if (--span.used != 0) return;
    // The only one with room for this size stays: else a holding that comes and goes alone would
    // open a span each time.
    const bool is_alone = span.previous == none && span.next == none;
    if (!is_alone) put_by(number);
}

void SlabPool::give_back(SlabHolding& holding, void* block) noexcept {
    {
        const ZonePause pause;
        const std::uint32_t id = id_of(block);
        if (has(holding, id)) [[likely]] {
            const BlockNote note = notes_[id];
            const std::uint32_t previous = note.previous ^ holding.key;
            const std::uint32_t next = note.next ^ holding.key;
            (previous == none ? holding.first : notes_[previous].next) =
                previous == none ? next : note.next;
            if (next != none) notes_[next].previous = note.previous;
            --holding.block_count;
            holding.held_bytes -= spans_[id >> block_log2].block_bytes;
            take_back(id);
            return;
        }
    }
    raise_fault(ZoneFault::double_free, "a block came back that is not out, or another's");
}

void SlabPool::give_back_all(SlabHolding& holding) noexcept {
    const ZonePause pause;
    for (std::uint32_t id = holding.first; id != none;) {
        const std::uint32_t next = notes_[id].next ^ holding.key;
        take_back(id);
        id = next;
    }
    holding = SlabHolding{};
}

bool SlabPool::is_sound() const {
    std::uint64_t blocks = 0;
    std::uint64_t held = 0;
    std::uint64_t open = 0;
    std::uint32_t spans_with_room = 0;
    std::uint32_t spans_free = 0;
    std::array<std::uint32_t, class_count> empty_spans{};
    for (std::uint32_t number = 0; number < spans_used_; ++number) {
        const Span& span = spans_[number];
        blocks += span.used;
        if (span.size_class == no_class) {
            ++spans_free;
            continue;
        }
        const std::uint32_t bytes = span.block_bytes;
        held += std::uint64_t{span.used} * bytes;
        if (span.size_class == large_class) {
            open += std::uint64_t{span.used} * bytes;
            spans_free += span.used == 0 ? 1 : 0;
            number += (1u << span.order) - 1;
            continue;
        }
        open += span_bytes;
        std::uint32_t free_blocks = 0;
        for (std::uint16_t i = span.free_head; i != 0xFFFF; ++free_blocks) {
            const BlockNote& note = notes_[(number << block_log2) | i];
            if (note.previous != free_mark || free_blocks > span.fresh) return false;
            i = static_cast<std::uint16_t>(note.next);
        }
        if (free_blocks + span.used != span.fresh) return false;
        if (span.used == 0 && ++empty_spans[span.size_class] > 1) return false;
        spans_with_room += span.used < span.block_count ? 1 : 0;
    }
    // What has room, and what is free, is in its list, and once.
    for (std::uint32_t size_class = 0; size_class < class_count; ++size_class) {
        std::uint32_t previous = none;
        for (std::uint32_t number = with_room_[size_class]; number != none; --spans_with_room) {
            const Span& span = spans_[number];
            if (span.size_class != size_class || span.previous != previous) return false;
            if (spans_with_room == 0) return false;
            previous = std::exchange(number, span.next);
        }
    }
    std::uint32_t spares = 0;
    std::uint64_t spare_bytes = 0;
    const auto count = [&](std::uint32_t head) {
        for (; head != none && spans_free != 0; --spans_free) {
            const Span& span = spans_[head];
            if (span.is_resident) {
                if (span.size_class == no_class) {
                    ++spares;
                } else {
                    spare_bytes += span.block_bytes;
                }
            }
            head = span.next;
        }
    };
    count(free_spans_);
    count(spare_spans_);
    for (const std::uint32_t head : free_large_) count(head);
    return spans_with_room == 0 && spans_free == 0 && spares == spare_span_count_ &&
           spare_bytes == spare_large_bytes_ && blocks == stats_.block_count &&
           held == stats_.held && open == stats_.open;
}

}  // namespace mitu::memory
