#include "mitu/memory/record_heap.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <new>

namespace mitu::memory {

RecordHeap::RecordHeap(const RecordHeapOptions& options)
    : uses_malloc_{options.allocation == Allocation::malloc},
      // An eighth of a batch: no more than that is left unused at its end.
      record_bytes_max_{options.pool.batch_bytes / 8 - prefix_bytes},
      place_shift_{
          static_cast<std::uint32_t>(std::countr_zero(options.pool.batch_bytes / grain_bytes))},
      bucket_shift_{
          static_cast<std::uint32_t>(std::countr_zero(options.pool.batch_bytes / bucket_count))},
      pool_{{options.pool.batch_bytes,
             std::min(options.pool.batches_max, 1u << (32 - place_shift_)),
             options.pool.huge_pages}} {
    std::fill(std::begin(buckets_), std::end(buckets_), none);
    if (uses_malloc_) fresh_.left_bytes = none;  // no batch is ever begun
}

RecordHeap::~RecordHeap() {
    if (!uses_malloc_) return;
    for (std::uint32_t i = 0; i < slot_count_; ++i) {
        if (slots_[i].references == 0) continue;
        while (allocated_[i].nodes != nullptr) free_node(allocated_[i]);
        std::free(allocated_[i].record);
    }
}

// --- Allocation::malloc ---

std::uint8_t* RecordHeap::allocate(std::uint32_t index, std::uint32_t bytes) {
    auto* const at = static_cast<std::uint8_t*>(std::malloc(bytes));
    if (at != nullptr) allocated_[index] = {at, nullptr};
    return at;
}

void RecordHeap::retain_allocated(RecordHandle handle) noexcept {
    ++slot(handle).references;
    void* const memory = std::malloc(sizeof(Node));
    if (memory == nullptr) return;  // the count is what holds the record; a node only costs
    Allocated& allocated = allocated_[index_of(handle)];
    allocated.nodes = new (memory) Node{allocated.nodes};
    ++totals_.nodes;
}

void RecordHeap::release_allocated(RecordHandle handle) noexcept {
    Slot& gone = slot(handle);
    const std::uint32_t index = index_of(handle);
    Allocated& allocated = allocated_[index];
    // Which of the nodes goes is all the same: none knows whose it is. The youngest is the nearest.
    if (allocated.nodes != nullptr) free_node(allocated);
    if (--gone.references != 0) return;
    const std::uint32_t bytes = padded(read_prefix(allocated.record).size_bytes);
    std::free(allocated.record);
    free_slot(index, bytes);
}

void RecordHeap::free_node(Allocated& allocated) noexcept {
    Node* const node = allocated.nodes;
    allocated.nodes = node->next;
    std::free(node);
    --totals_.nodes;
}

// --- the table ---

bool RecordHeap::open_slots() {
    if (!table_) {
        table_ = Reservation::make(std::size_t{slots_max} * sizeof(Slot));
        if (!table_) return false;
        slots_ = reinterpret_cast<Slot*>(table_->data());
    }
    // The last index that a handle can name is left out, so that none looks like "none".
    const std::uint32_t end = slot_count_ + slots_opened;
    if (end > std::min(slots_max, index_mask)) return false;
    if (!table_->open(std::size_t{end} * sizeof(Slot))) return false;
    for (std::uint32_t i = end; i-- > slot_count_;) {
        new (slots_ + i) Slot{free_slot_, 0};
        free_slot_ = i;
    }
    if (uses_malloc_) allocated_.resize(std::max<std::size_t>(end, allocated_.size()));
#ifdef MITU_AUDITS
    generations_.resize(std::max<std::size_t>(end, generations_.size()));
#endif
    set_slot_count(end);
    return true;
}

void RecordHeap::set_slot_count(std::uint32_t count) {
    slot_count_ = count;
    if (!uses_malloc_) batched_slot_count_ = count;
}

/// After a flood: the end of the table goes back to the system, as far as nothing in it lives. What
/// is free in front of it is taken from the front, so that the next end is free sooner.
void RecordHeap::close_slots() {
    std::uint32_t end = slot_count_;
    while (end > slots_opened && slots_[end - 1].references == 0) --end;
    end = (end + slots_opened - 1) / slots_opened * slots_opened;
    table_->give_back(std::size_t{end} * sizeof(Slot), table_->open_bytes() - end * sizeof(Slot));
    set_slot_count(end);
    free_slot_ = none;
    for (std::uint32_t i = end; i-- > 0;) {
        if (slots_[i].references != 0) continue;
        slots_[i].place = free_slot_;
        free_slot_ = i;
    }
    slots_wanted_max_ = std::max(slots_kept_min, 4 * live_count_);
}

// --- batches ---

/// The batch that is filled has no room: another one. False: there is none.
bool RecordHeap::begin_batch(Filling& filling) {
    const auto taken = pool_.take();
    if (!taken) return false;
    stop_filling(filling);
    if (*taken >= batches_.size()) batches_.resize(*taken + 1);
    batches_[*taken] = Batch{};
    filling = {*taken, *taken << place_shift_, pool_.batch_bytes()};
    return true;
}

void RecordHeap::stop_filling(Filling& filling) {
    if (filling.batch == none) return;
    Batch& batch = batches_[filling.batch];
    batch.used_bytes = pool_.batch_bytes() - filling.left_bytes;
    if (batch.live_bytes == 0) {
        pool_.give_back(filling.batch);
    } else {
        link(filling.batch);
    }
    filling = {};
}

void RecordHeap::link(BatchNumber number) {
    Batch& batch = batches_[number];
    // A batch that lives to its last byte counts with those that nearly do.
    batch.bucket = std::min(bucket_count - 1, batch.live_bytes >> bucket_shift_);
    BatchNumber& head = buckets_[batch.bucket];
    batch.previous = none;
    batch.next = head;
    if (head != none) batches_[head].previous = number;
    head = number;
}

void RecordHeap::unlink(BatchNumber number) {
    Batch& batch = batches_[number];
    (batch.previous == none ? buckets_[batch.bucket] : batches_[batch.previous].next) = batch.next;
    if (batch.next != none) batches_[batch.next].previous = batch.previous;
    batch.bucket = batch.previous = batch.next = none;
}

/// Nothing in the batch lives any more.
void RecordHeap::lose_last(BatchNumber number) {
    for (Filling* const filling : {&fresh_, &survivors_}) {
        if (filling->batch != number) continue;
        // From the start again, while it is warm.
        *filling = {number, number << place_shift_, pool_.batch_bytes()};
        ++totals_.reused_total;
        return;
    }
    unlink(number);
    pool_.give_back(number);
}

// --- survivors move ---

bool RecordHeap::tidy(std::uint64_t bytes_max) {
    std::uint64_t budget = bytes_max;
    while (is_untidy()) {
        if (budget == 0) return true;
        if (!empty_one(budget)) break;
    }
    if (slot_count_ > slots_wanted_max_ && live_count_ < slot_count_ / 4) close_slots();
    return false;
}

/// Moves what lives in the emptiest batch. False: that would win nothing, or there is no room.
bool RecordHeap::empty_one(std::uint64_t& budget) {
    const auto* const bucket = std::find_if(std::begin(buckets_), std::end(buckets_),
                                            [](BatchNumber head) { return head != none; });
    // Those in the last bucket are as full as a batch gets.
    if (bucket == std::end(buckets_) || bucket == std::end(buckets_) - 1) return false;
    const BatchNumber victim = *bucket;
    const std::uint32_t bytes = batches_[victim].live_bytes;
    if (!move_survivors(victim)) return false;
    totals_.moved_total += bytes;
    budget -= std::min<std::uint64_t>(budget, bytes);
    unlink(victim);
    pool_.give_back(victim);
    return true;
}

/// False: there was no room for all; those that have moved have moved.
bool RecordHeap::move_survivors(BatchNumber victim) {
    constexpr std::uint32_t ahead = 12;  // slots asked for before they are needed
    const std::uint8_t* const base = pool_.data(victim);
    const std::uint32_t used = batches_[victim].used_bytes;
    // Runs in front: slots lie anywhere, and waiting for each would be most of the work.
    std::uint32_t scout = 0;
    const auto look_ahead = [&] {
        if (scout >= used) return;
        const Prefix prefix = read_prefix(base + scout);
        __builtin_prefetch(slots_ + prefix.index, 1);
        scout += padded(prefix.size_bytes);
    };
    for (std::uint32_t i = 0; i < ahead; ++i) look_ahead();
    for (std::uint32_t at = 0; batches_[victim].live_bytes != 0;) {
        MITU_CHECK(at < used);
        look_ahead();
        const Prefix prefix = read_prefix(base + at);
        const std::uint32_t bytes = padded(prefix.size_bytes);
        const std::uint32_t place = (victim << place_shift_) + at / grain_bytes;
        Slot& slot = slots_[prefix.index];
        at += bytes;
        // A slot beyond the end was given up with all that it named.
        if (prefix.index >= slot_count_ || slot.references == 0 || slot.place != place) continue;
        if (survivors_.left_bytes < bytes && !begin_batch(survivors_)) return false;
        std::uint32_t new_place = 0;
        std::memcpy(bump(survivors_, bytes, new_place), base + at - bytes, bytes);
        slot.place = new_place;
        batches_[victim].live_bytes -= bytes;
    }
    return true;
}

// --- to look at ---

RecordHeapStats RecordHeap::stats() const noexcept {
    RecordHeapStats stats = totals_;
    stats.live = live_bytes_;
    stats.batches = std::uint64_t{pool_.taken_count()} * pool_.batch_bytes();
    stats.spare = std::uint64_t{pool_.spare_count()} * pool_.batch_bytes();
    stats.table = std::uint64_t{slot_count_} * sizeof(Slot);
    std::uint64_t unused = 0;
    for (const Filling& filling : {fresh_, survivors_}) {
        if (filling.batch != none) unused += filling.left_bytes;
    }
    if (!uses_malloc_) stats.dead = stats.batches - live_bytes_ - unused;
    return stats;
}

bool RecordHeap::is_sound() const {
    std::uint64_t bytes = 0;
    std::uint64_t nodes = 0;
    std::uint32_t count = 0;
    std::vector<std::uint64_t> by_batch(batches_.size());
    for (std::uint32_t index = 0; index < slot_count_; ++index) {
        const Slot& slot = slots_[index];
        if (slot.references == 0) continue;
        ++count;
        const Prefix prefix = read_prefix(address(index, slot));
        if (prefix.index != index) return false;
        bytes += padded(prefix.size_bytes);
        if (!uses_malloc_) {
            by_batch[slot.place >> place_shift_] += padded(prefix.size_bytes);
            continue;
        }
        std::uint32_t of_record = 0;
        for (const Node* node = allocated_[index].nodes; node != nullptr; node = node->next) {
            if (++of_record >= slot.references) return false;
        }
        nodes += of_record;
    }
    std::uint32_t free_count = 0;
    for (std::uint32_t i = free_slot_; i != none; i = slots_[i].place) {
        if (++free_count > slot_count_ || slots_[i].references != 0) return false;
    }
    for (BatchNumber i = 0; i < by_batch.size(); ++i) {
        if (by_batch[i] != 0 && batches_[i].live_bytes != by_batch[i]) return false;
    }
    std::uint32_t listed = (fresh_.batch != none ? 1 : 0) + (survivors_.batch != none ? 1 : 0);
    for (std::uint32_t bucket = 0; bucket < bucket_count; ++bucket) {
        for (BatchNumber i = buckets_[bucket]; i != none; i = batches_[i].next) {
            ++listed;
            if (batches_[i].bucket != bucket || batches_[i].live_bytes == 0) return false;
        }
    }
    return bytes == live_bytes_ && count == live_count_ && free_count + count == slot_count_ &&
           nodes == totals_.nodes && listed == pool_.taken_count();
}

}  // namespace mitu::memory
