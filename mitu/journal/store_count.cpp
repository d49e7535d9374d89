// How much a session's queue has, for those who were not counted while they came.

#include <algorithm>
#include <utility>

#include "mitu/journal/store_journal.hpp"
#include "mitu/store/key.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::journal {

void StoreJournal::count_queue(broker::StoredSessionId session, std::uint32_t messages_max,
                               std::uint64_t bytes_max, std::uint32_t ticket) {
    Counting& counting = counting_[ticket];
    counting = {{}, messages_max, bytes_max};
    counting.count.session = session;
    counting.count.ticket = ticket;
    ask_to_count(ticket, store::queue_from(store::SessionId{session}, 1));
}

void StoreJournal::ask_to_count(std::uint32_t ticket, store::Range from) {
    constexpr std::uint32_t rows_max = 1'024;
    store::ReadRequest request;
    request.token = ticket;
    request.rows_max = rows_max;
    request.ranges.push_back(std::move(from));
    ask(std::move(request));
}

bool StoreJournal::take_counted() {
    const auto it = counting_.find(static_cast<std::uint32_t>(chunk_.token));
    if (it == counting_.end()) return false;
    Counting& counting = it->second;
    broker::QueueCount& count = counting.count;
    for (std::size_t i = 0; i < chunk_.size(); ++i) {
        ++count.messages;
        count.bytes += chunk_[i].message.size();
    }
    const bool is_enough =
        count.messages > counting.messages_max || count.bytes > counting.bytes_max;
    if (!chunk_.error && !chunk_.rest.empty() && !is_enough) {
        ask_to_count(it->first, std::move(chunk_.rest.front()));
        return true;
    }
    if (chunk_.error) {
        count.is_failed = true;
        trace::log(trace::Level::error, "queue_not_counted",
                   {{"session", count.session}, {"reason", chunk_.error->detail}});
    }
    counted_.push_back(count);
    counting_.erase(it);
    return true;
}

std::optional<broker::QueueCount> StoreJournal::take_count() {
    if (counted_.empty()) return std::nullopt;
    const broker::QueueCount count = counted_.front();
    counted_.pop_front();
    return count;
}

}  // namespace mitu::journal
