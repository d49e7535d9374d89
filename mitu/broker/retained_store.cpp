#include "mitu/broker/retained_store.hpp"

#include <algorithm>
#include <functional>

namespace mitu::broker {

bool RetainedStore::put(MessageHandle message) {
    const MessageView view = messages_.view(message);
    const Levels levels{view.topic};
    const auto existing = tree_.find(view.tenant, levels);
    const bool held = existing != Tree::none && !tree_.node(existing).payload.empty();
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
    if (!view.expires_at.is_never()) note_expiry({view.expires_at, node});
    return true;
}

void RetainedStore::note_expiry(const Expiry& expiry) {
    constexpr std::size_t outdated_max = 1'024;
    if (expiries_.size() >= outdated_max + 2 * std::size_t{count_}) {
        // A topic that is replaced again and again leaves a note each time.
        const auto kept =
            std::remove_if(expiries_.begin(), expiries_.end(), [&](const Expiry& note) {
                const Entry& entry = tree_.node(note.node).payload;
                return entry.empty() || messages_.view(entry.message).expires_at != note.at;
            });
        std::sort(expiries_.begin(), kept);  // an ordered list is a heap
        const auto end = std::unique(expiries_.begin(), kept);
        expiries_.resize_down(static_cast<std::size_t>(end - expiries_.begin()));
    }
    expiries_.push_back(expiry);
    std::push_heap(expiries_.begin(), expiries_.end(), std::greater<>{});
}

bool RetainedStore::erase(TenantId tenant, std::string_view topic) {
    const auto node = tree_.find(tenant, Levels{topic});
    if (node == Tree::none || tree_.node(node).payload.empty()) return false;
    remove(node);
    return true;
}

void RetainedStore::remove(std::uint32_t node) {
    messages_.release(tree_.node(node).payload.message);
    tree_.node(node).payload.message = MessageHandle{};
    --count_;
    tree_.prune(node);
}

void RetainedStore::expire(Instant now) {
    while (!expiries_.empty() && expiries_.front().at <= now) {
        std::pop_heap(expiries_.begin(), expiries_.end(), std::greater<>{});
        const std::uint32_t node = expiries_.back().node;
        expiries_.pop_back();
        const Entry& entry = tree_.node(node).payload;
        // The node may have another message by now, or stand for another topic.
        if (!entry.empty() && messages_.view(entry.message).expires_at <= now) remove(node);
    }
}

}  // namespace mitu::broker
