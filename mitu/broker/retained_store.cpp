#include "mitu/broker/retained_store.hpp"

namespace mitu::broker {

bool RetainedStore::put(MessageHandle message) {
    const MessageView view = messages_.view(message);
    const Levels levels{view.topic};
    const auto existing = tree_.find(view.tenant, levels);
    const bool held = existing != LevelTree<Entry>::none && !tree_.node(existing).payload.empty();
    if (view.payload.empty()) {
        if (held) remove(existing);
        return true;
    }
    if (!held && count_ >= messages_max_) return false;
    messages_.retain(message);
    const auto node = held ? existing : tree_.insert(view.tenant, levels);
    Entry& entry = tree_.node(node).payload;
    if (held) {
        messages_.release(entry.message);
    } else {
        ++count_;
    }
    entry.message = message;
    if (!view.expires_at.is_never()) expiries_.push({view.expires_at, node});
    return true;
}

void RetainedStore::remove(std::uint32_t node) {
    messages_.release(tree_.node(node).payload.message);
    tree_.node(node).payload.message = MessageHandle{};
    --count_;
    tree_.prune(node);
}

void RetainedStore::expire(Instant now) {
    while (!expiries_.empty() && expiries_.top().at <= now) {
        const std::uint32_t node = expiries_.top().node;
        expiries_.pop();
        const Entry& entry = tree_.node(node).payload;
        // The node may have another message by now, or stand for another topic.
        if (!entry.empty() && messages_.view(entry.message).expires_at <= now) remove(node);
    }
}

}  // namespace mitu::broker
