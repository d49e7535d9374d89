#include "mitu/broker/message_store.hpp"

#include <new>

#include "mitu/base/check.hpp"

namespace mitu::broker {
namespace {

constexpr std::uint32_t no_slot = 0xFFFF'FFFF;

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

LargeBlock* LargeBlock::create(const MessageView& message) {
    void* const memory = ::operator new(sizeof(LargeBlock) + message.content_bytes());
    auto* const block = new (memory) LargeBlock;
    copy_content(block->data(), message);
    return block;
}

void LargeBlock::release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    this->~LargeBlock();
    ::operator delete(static_cast<void*>(this));
}

MessageStore::MessageStore(std::uint64_t bytes_max, Counters& counters) noexcept
    : free_head_{no_slot}, bytes_max_{bytes_max}, counters_{counters} {}

MessageStore::~MessageStore() {
    for (auto& slot : slots_) {
        if (slot.references == 0) continue;
        if (slot.large != nullptr) {
            slot.large->release();
        } else {
            ::operator delete(slot.bytes);
        }
    }
}

std::optional<MessageHandle> MessageStore::take_slot(const MessageView& message) {
    MITU_CHECK(message.topic.size() <= 0xFFFF);
    const std::uint64_t bytes = message.content_bytes();
    if (bytes > bytes_max_ - live_bytes_) return std::nullopt;
    std::uint32_t index = free_head_;
    if (index == no_slot) {
        index = static_cast<std::uint32_t>(slots_.size());
        if (index == no_slot) return std::nullopt;
        slots_.emplace_back();
    } else {
        free_head_ = slots_[index].next_free;
    }
    Slot& slot = slots_[index];
    slot.expires_at = message.expires_at;
    slot.publisher = message.publisher;
    slot.references = 1;
    slot.payload_bytes = static_cast<std::uint32_t>(message.payload.size());
    slot.properties_bytes = static_cast<std::uint32_t>(message.properties.size());
    slot.topic_bytes = static_cast<std::uint16_t>(message.topic.size());
    slot.tenant = message.tenant;
    slot.qos = message.qos;
    slot.retain = message.retain;
    ++live_count_;
    live_bytes_ += bytes;
    counters_.stored_messages.set(live_count_);
    counters_.stored_bytes.set(live_bytes_);
    return MessageHandle{index};
}

std::optional<MessageHandle> MessageStore::add(const MessageView& message) {
    const auto handle = take_slot(message);
    if (!handle) return std::nullopt;
    Slot& slot = slots_[handle->index];
    slot.large = nullptr;
    slot.bytes = static_cast<std::uint8_t*>(::operator new(message.content_bytes()));
    copy_content(slot.bytes, message);
    return handle;
}

std::optional<MessageHandle> MessageStore::adopt(const MessageView& message, LargeBlock* block) {
    const auto handle = take_slot(message);
    if (!handle) return std::nullopt;
    Slot& slot = slots_[handle->index];
    slot.large = block;
    slot.bytes = block->data();
    return handle;
}

const MessageStore::Slot& MessageStore::slot(MessageHandle handle) const noexcept {
    MITU_CHECK(handle.index < slots_.size() && slots_[handle.index].references > 0);
    return slots_[handle.index];
}

void MessageStore::retain(MessageHandle handle) noexcept {
    static_cast<void>(slot(handle));
    ++slots_[handle.index].references;
}

void MessageStore::set_publisher(MessageHandle handle, const SessionRef& publisher) noexcept {
    static_cast<void>(slot(handle));
    slots_[handle.index].publisher = publisher;
}

void MessageStore::release(MessageHandle handle) noexcept {
    static_cast<void>(slot(handle));
    Slot& slot = slots_[handle.index];
    if (--slot.references != 0) return;
    if (slot.large != nullptr) {
        slot.large->release();
    } else {
        ::operator delete(slot.bytes);
    }
    --live_count_;
    live_bytes_ -= std::uint64_t{slot.topic_bytes} + slot.properties_bytes + slot.payload_bytes;
    slot.bytes = nullptr;
    slot.large = nullptr;
    slot.next_free = free_head_;
    free_head_ = handle.index;
    counters_.stored_messages.set(live_count_);
    counters_.stored_bytes.set(live_bytes_);
}

MessageView MessageStore::view(MessageHandle handle) const noexcept {
    const Slot& s = slot(handle);
    MessageView view;
    view.tenant = s.tenant;
    view.qos = s.qos;
    view.retain = s.retain;
    view.expires_at = s.expires_at;
    view.publisher = s.publisher;
    view.topic = {reinterpret_cast<const char*>(s.bytes), s.topic_bytes};
    view.properties = {s.bytes + s.topic_bytes, s.properties_bytes};
    view.payload = {s.bytes + s.topic_bytes + s.properties_bytes, s.payload_bytes};
    return view;
}

std::uint64_t MessageStore::content_bytes(MessageHandle handle) const noexcept {
    const Slot& s = slot(handle);
    return std::uint64_t{s.topic_bytes} + s.properties_bytes + s.payload_bytes;
}

LargeBlock* MessageStore::large_block(MessageHandle handle) const noexcept {
    return slot(handle).large;
}

LargeBlock* MessageStore::share(MessageHandle handle) {
    if (slot(handle).large == nullptr) {
        LargeBlock* const block = LargeBlock::create(view(handle));
        Slot& slot = slots_[handle.index];
        ::operator delete(slot.bytes);
        slot.large = block;
        slot.bytes = block->data();
    }
    return slots_[handle.index].large;
}

}  // namespace mitu::broker
