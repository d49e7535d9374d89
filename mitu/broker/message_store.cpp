#include "mitu/broker/message_store.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/broker/sys_topic.hpp"

namespace mitu::broker {
namespace {

// From here on a block is a mapping of its own, which goes back to the system as soon as it is
// free; smaller ones come from the general allocator.
constexpr std::uint64_t mapped_bytes_min = 128u << 10;

void copy_content(std::uint8_t* out, const MessageView& message) noexcept {
    const auto put = [&out](const void* data, std::size_t size) {
        if (size != 0) std::memcpy(out, data, size);
        out += size;
    };
    put(message.topic.data(), message.topic.size());
    put(message.properties.data(), message.properties.size());
    put(message.payload.data(), message.payload.size());
}

}  // namespace

// --- large ones ---

LargeBlock* LargeBlock::create(const MessageView& message) {
    const std::uint64_t content_bytes = message.content_bytes();
    const std::uint64_t bytes = sizeof(LargeBlock) + content_bytes;
    void* memory = nullptr;
    if (bytes >= mapped_bytes_min) {
        memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return nullptr;
    } else {
        memory = std::malloc(bytes);
        if (memory == nullptr) return nullptr;
    }
    auto* const block = new (memory) LargeBlock{content_bytes};
    copy_content(block->data(), message);
    return block;
}

void LargeBlock::release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const std::uint64_t bytes = sizeof(LargeBlock) + content_bytes_;
    this->~LargeBlock();
    if (bytes >= mapped_bytes_min) {
        static_cast<void>(::munmap(static_cast<void*>(this), bytes));
    } else {
        std::free(static_cast<void*>(this));
    }
}

// --- the store ---

MessageStore::MessageStore(std::uint64_t bytes_max, Counters& counters,
                           const memory::RecordHeapOptions& heap, TenantBytes tenants)
    : records_{heap}, bytes_max_{bytes_max}, tenants_{std::move(tenants)}, counters_{counters} {}

MessageStore::~MessageStore() {
    records_.for_each([](std::span<std::uint8_t> record) {
        if (LargeBlock* const block = take_apart(record).block) block->release();
    });
}

MessageStore::Parts MessageStore::take_apart(std::span<std::uint8_t> record) noexcept {
    Parts parts;
    std::memcpy(static_cast<void*>(&parts.header), record.data(), sizeof(Header));
    std::size_t front = sizeof(Header);
    if (parts.header.expires != 0) {
        std::memcpy(static_cast<void*>(&parts.expires_at), record.data() + front, sizeof(Instant));
        front += sizeof(Instant);
    }
    if (parts.header.retain != 0) {
        std::memcpy(&parts.publisher_key, record.data() + front, sizeof parts.publisher_key);
        front += sizeof parts.publisher_key;
    }
    if (parts.header.is_kept != 0) {
        std::memcpy(&parts.stored_id, record.data() + front, sizeof parts.stored_id);
        front += sizeof parts.stored_id;
    }
    parts.content = record.data() + front;
    parts.content_bytes = record.size() - front;
    if (parts.header.is_large != 0) {
        std::memcpy(static_cast<void*>(&parts.block), parts.content, sizeof(LargeBlock*));
        parts.content = parts.block->data();
        parts.content_bytes = parts.block->content_bytes();
    }
    return parts;
}

void MessageStore::tidy() {
    has_more_to_tidy_ = records_.is_untidy() && records_.tidy(tidy_bytes_max);
    const memory::RecordHeapStats stats = records_.stats();
    counters_.stored_messages.set(records_.live_count());
    counters_.stored_bytes.set(live_bytes_);
    counters_.message_batch_bytes.set(stats.batches);
    counters_.message_dead_bytes.set(stats.dead);
    counters_.message_table_bytes.set(stats.table);
    counters_.message_moved_bytes_total.set(stats.moved_total);
    counters_.message_batches_reused_total.set(stats.reused_total);
}

std::optional<MessageHandle> MessageStore::make_record(const MessageView& message, bool is_large,
                                                       std::uint8_t*& content) {
    MITU_CHECK(message.topic.size() <= 0xFFFF);
    const std::uint64_t bytes = message.content_bytes();
    refusal_ = DropReason::no_memory;
    if (bytes > bytes_max_ - live_bytes_) return std::nullopt;
    const bool is_free = is_sys_topic(message.topic);
    if (!is_free && !tenants_.try_add(message.tenant, bytes)) {
        refusal_ = DropReason::tenant_quota;
        return std::nullopt;
    }
    const bool expires = !message.expires_at.is_never();
    const std::size_t key_at = sizeof(Header) + (expires ? sizeof(Instant) : 0);
    const std::size_t id_at = key_at + (message.retain ? sizeof message.publisher_key : 0);
    const bool is_kept = message.stored_id != 0;
    const std::size_t front = id_at + (is_kept ? sizeof message.stored_id : 0);
    const auto handle =
        records_.add(static_cast<std::uint32_t>(front + (is_large ? sizeof(LargeBlock*) : bytes)));
    if (!handle) {
        if (!is_free) tenants_.subtract(message.tenant, bytes);
        return std::nullopt;
    }
    Header header;
    header.publisher_index = message.publisher.index;
    header.publisher_generation = message.publisher.generation;
    header.publisher_shard = message.publisher.shard;
    header.tenant = message.tenant;
    header.topic_bytes = static_cast<std::uint16_t>(message.topic.size());
    header.qos = static_cast<std::uint8_t>(message.qos) & 3;
    header.retain = message.retain ? 1 : 0;
    header.expires = expires ? 1 : 0;
    header.is_large = is_large ? 1 : 0;
    header.is_kept = is_kept ? 1 : 0;
    header.is_free = is_free ? 1 : 0;
    header.properties_bytes = static_cast<std::uint32_t>(message.properties.size());
    std::uint8_t* const record = records_.data(*handle);
    std::memcpy(record, &header, sizeof header);
    if (expires) std::memcpy(record + sizeof header, &message.expires_at, sizeof(Instant));
    if (message.retain) {
        std::memcpy(record + key_at, &message.publisher_key, sizeof message.publisher_key);
    }
    if (is_kept) std::memcpy(record + id_at, &message.stored_id, sizeof message.stored_id);
    content = record + front;
    live_bytes_ += bytes;
    return handle;
}

std::optional<MessageHandle> MessageStore::add(const MessageView& message) {
    constexpr std::size_t front_max =
        sizeof(Header) + sizeof(Instant) + sizeof message.publisher_key + sizeof message.stored_id;
    if (message.content_bytes() + front_max > records_.record_bytes_max()) {
        refusal_ = DropReason::no_memory;
        if (message.content_bytes() > bytes_max_ - live_bytes_) return std::nullopt;
        LargeBlock* const block = LargeBlock::create(message);
        if (block == nullptr) return std::nullopt;
        const auto handle = adopt(message, block);
        if (!handle) block->release();
        return handle;
    }
    std::uint8_t* content = nullptr;
    const auto handle = make_record(message, false, content);
    if (handle) copy_content(content, message);
    return handle;
}

std::optional<MessageHandle> MessageStore::adopt(const MessageView& message, LargeBlock* block) {
    std::uint8_t* content = nullptr;
    const auto handle = make_record(message, true, content);
    if (handle) std::memcpy(content, static_cast<const void*>(&block), sizeof(LargeBlock*));
    return handle;
}

void MessageStore::release(MessageHandle handle) noexcept {
    if (records_.references(handle) == 1) {
        const Parts gone = parts(handle);
        live_bytes_ -= gone.content_bytes;
        if (gone.header.is_free == 0) {
            tenants_.subtract(gone.header.tenant, gone.content_bytes);
        }
        if (gone.block != nullptr) gone.block->release();
    }
    records_.release(handle);
}

void MessageStore::set_publisher(MessageHandle handle, const SessionRef& publisher) noexcept {
    const auto record = records_.bytes(handle);
    Header header = take_apart(record).header;
    header.publisher_index = publisher.index;
    header.publisher_generation = publisher.generation;
    header.publisher_shard = publisher.shard;
    std::memcpy(record.data(), &header, sizeof header);
}

LargeBlock* MessageStore::share(MessageHandle handle) {
    Parts found = parts(handle);
    if (found.block != nullptr) return found.block;
    MITU_CHECK(found.content_bytes >= sizeof(LargeBlock*));
    LargeBlock* const block = LargeBlock::create(view(handle));
    if (block == nullptr) return nullptr;
    // The record keeps its size: its content gives way to where it is now.
    found.header.is_large = 1;
    std::memcpy(records_.data(handle), &found.header, sizeof(Header));
    std::memcpy(found.content, static_cast<const void*>(&block), sizeof(LargeBlock*));
    return block;
}

MessageView MessageStore::view(MessageHandle handle) const noexcept {
    const Parts found = parts(handle);
    const Header& header = found.header;
    MessageView view;
    view.tenant = header.tenant;
    view.qos = static_cast<mqtt::QoS>(header.qos);
    view.retain = header.retain != 0;
    view.expires_at = found.expires_at;
    view.publisher = {header.publisher_index, header.publisher_generation, header.publisher_shard};
    view.publisher_key = found.publisher_key;
    view.stored_id = found.stored_id;
    view.topic = {reinterpret_cast<const char*>(found.content), header.topic_bytes};
    view.properties = {found.content + header.topic_bytes, header.properties_bytes};
    const std::size_t before_payload = std::size_t{header.topic_bytes} + header.properties_bytes;
    view.payload = {found.content + before_payload, found.content_bytes - before_payload};
    return view;
}

std::uint64_t MessageStore::content_bytes(MessageHandle handle) const noexcept {
    return parts(handle).content_bytes;
}

}  // namespace mitu::broker
