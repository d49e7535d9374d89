#include "mitu/broker/retained_store.hpp"

#include <algorithm>
#include <functional>

#include "mitu/broker/sys_topic.hpp"

namespace mitu::broker {

using admission::Limit;
using admission::Quota;
using admission::Scope;

bool RetainedStore::put(MessageHandle message) {
    const MessageView view = messages_.view(message);
    const Levels levels{view.topic};
    const auto existing = tree_.find(view.tenant, levels);
    const bool held = existing != Tree::none && !tree_.node(existing).payload.empty();
    if (view.payload.empty()) {
        if (held) remove(existing);
        return true;
    }
    const bool is_free = is_sys_topic(view.topic);
    if (!held && !is_free && count_ - free_count_ >= messages_max_) {
        refusal_ = {Limit::retained_messages, Scope::server};
        return false;
    }
    if (ledger_ != nullptr && !is_free) {
        const std::uint64_t before =
            held ? messages_.content_bytes(tree_.node(existing).payload.message) : 0;
        if (!try_take(view.tenant, !held, before, view.content_bytes())) return false;
    }
    messages_.retain(message);
    const auto node = held ? existing : tree_.insert(view.tenant, levels);
    Entry& entry = tree_.node(node).payload;
    if (held) {
        messages_.release(entry.message);
    } else {
        ++count_;
        if (is_free) ++free_count_;
    }
    entry.message = message;
    if (!view.expires_at.is_never()) note_expiry({view.expires_at, node});
    return true;
}

bool RetainedStore::try_take(TenantId tenant, bool is_new, std::uint64_t bytes_before,
                             std::uint64_t bytes) {
    const auto refuse = [&](Limit limit, Scope scope) {
        refusal_ = {limit, scope};
        ledger_->tenant(tenant).count_refusal(limit);
        return false;
    };
    if (is_new) {
        if (const auto whose = ledger_->try_take(tenant, Quota::retained_messages)) {
            return refuse(Limit::retained_messages, *whose);
        }
    }
    if (bytes > bytes_before) {
        if (const auto whose =
                ledger_->try_take(tenant, Quota::retained_bytes, bytes - bytes_before)) {
            if (is_new) ledger_->give_back(tenant, Quota::retained_messages);
            return refuse(Limit::retained_bytes, *whose);
        }
    } else if (bytes < bytes_before) {
        ledger_->give_back(tenant, Quota::retained_bytes, bytes_before - bytes);
    }
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
    const MessageHandle gone = tree_.node(node).payload.message;
    const MessageView view = messages_.view(gone);
    const bool is_free = is_sys_topic(view.topic);
    if (is_free) --free_count_;
    if (ledger_ != nullptr && !is_free) {
        const TenantId tenant = view.tenant;
        ledger_->give_back(tenant, Quota::retained_messages);
        ledger_->give_back(tenant, Quota::retained_bytes, messages_.content_bytes(gone));
    }
    messages_.release(gone);
    tree_.node(node).payload.message = MessageHandle{};
    --count_;
    tree_.prune(node);
}

void RetainedStore::expire(Instant now, Journal* journal) {
    while (!expiries_.empty() && expiries_.front().at <= now) {
        std::pop_heap(expiries_.begin(), expiries_.end(), std::greater<>{});
        const std::uint32_t node = expiries_.back().node;
        expiries_.pop_back();
        const Entry& entry = tree_.node(node).payload;
        // The node may have another message by now, or stand for another topic.
        if (entry.empty()) continue;
        const MessageView view = messages_.view(entry.message);
        if (view.expires_at > now) continue;
        if (journal != nullptr && journal->durability(view.tenant) != Durability::none) {
            journal->erase_retained(view.tenant, view.topic);
        }
        remove(node);
    }
}

}  // namespace mitu::broker
