// A session that broke, read as it was written down.

#include <utility>

#include "mitu/base/check.hpp"
#include "mitu/journal/store_journal.hpp"
#include "mitu/store/key.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::journal {

using broker::RecalledSession;
using broker::StoredSessionId;
using store::Family;
using store::SessionId;

namespace {

// Filters and numbers of one session, which its memory had room for.
constexpr std::uint32_t recalled_rows_max = 4u << 20;
constexpr std::uint64_t recalled_bytes_max = 256u << 20;

// Of the search for a name: others ask the reader too.
constexpr std::uint32_t searched_rows_max = 1'024;

}  // namespace

void StoreJournal::recall(StoredSessionId session, TenantId tenant, std::string_view client_id,
                          std::uint32_t ticket) {
    Recall& recall = recalls_[ticket];
    recall = {session, tenant, std::string{client_id}};
    if (client_id.empty()) {
        look_for_name(ticket, store::whole(Family::sessions));
    } else {
        ask_for_rows(ticket, recall);
    }
}

void StoreJournal::look_for_name(std::uint32_t ticket, store::Range from) {
    store::ReadRequest request;
    request.token = ticket;
    request.ranges.push_back(std::move(from));
    request.rows_max = searched_rows_max;
    ask(std::move(request));
}

void StoreJournal::ask_for_rows(std::uint32_t ticket, const Recall& recall) {
    const SessionId session{recall.session};
    store::ReadRequest request;
    request.token = ticket;
    request.ranges.push_back(store::session_row({terms_.of(recall.tenant).name, recall.client_id}));
    for (const Family family : {Family::wills, Family::subscriptions, Family::inbound}) {
        request.ranges.push_back(store::of_session(family, session));
    }
    request.rows_max = recalled_rows_max;
    request.bytes_max = recalled_bytes_max;
    ask(std::move(request));
}

bool StoreJournal::take_recall() {
    const auto it = recalls_.find(static_cast<std::uint32_t>(chunk_.token));
    if (it == recalls_.end()) return false;
    const std::uint32_t ticket = it->first;
    const bool is_cut = !it->second.client_id.empty() && !chunk_.rest.empty();
    if (chunk_.error || is_cut) {
        trace::log(trace::Level::error, "session_not_read",
                   {{"session", it->second.session},
                    {"reason", chunk_.error ? chunk_.error->detail : "it has too many rows"}});
        answer_recall(ticket, RecalledSession::Outcome::not_now);
        return true;
    }
    if (it->second.client_id.empty()) {
        find_name(ticket, it->second);
        return true;
    }
    auto recalled = std::make_unique<Recalled>();
    recalled->rows = std::move(chunk_);
    recalled->client_id = it->second.client_id;
    recalled->view.session = it->second.session;
    recalled->view.as_kept.tenant = it->second.tenant;
    take_rows(*recalled);
    const auto outcome = recalled->view.outcome;
    answer_recall(ticket, outcome, std::move(recalled));
    return true;
}

void StoreJournal::find_name(std::uint32_t ticket, Recall& recall) {
    for (std::size_t i = 0; i < chunk_.size(); ++i) {
        const auto record = store::decode_session(chunk_[i].value);
        const auto name = store::name_of(chunk_[i].key);
        if (!record || !name || record->id.value != recall.session) continue;
        recall.client_id = name->name;
        return ask_for_rows(ticket, recall);
    }
    if (chunk_.rest.empty()) return answer_recall(ticket, RecalledSession::Outcome::gone);
    look_for_name(ticket, std::move(chunk_.rest.front()));
}

namespace {

/// Of wills that are not due a session has one at most.
void take_will(const store::Chunk::Row& row, RecalledSession& view) {
    if (row.key.size() == store::due_key_bytes) {
        const auto number = store::second_id_of(row.key);
        if (view.will && view.will->id.number == number) view.will.reset();
        return;
    }
    const auto record = store::decode_will(row.value);
    if (record) view.will = kept_will(row.key, *record, view.as_kept.tenant);
}

}  // namespace

void StoreJournal::take_rows(Recalled& recalled) {
    RecalledSession& view = recalled.view;
    broker::KeptSession& kept = view.as_kept;
    const TenantId tenant = kept.tenant;
    for (std::size_t i = 0; i < recalled.rows.size(); ++i) {
        const store::Chunk::Row row = recalled.rows[i];
        switch (row.family) {
            case Family::sessions: {
                const auto record = store::decode_session(row.value);
                if (!record || record->id.value != view.session) break;
                view.outcome = RecalledSession::Outcome::found;
                kept = kept_session(*record, instant_of(record->last_seen_at));
                kept.tenant = tenant;
                kept.client_id = recalled.client_id;
                break;
            }
            case Family::wills:
                take_will(row, view);
                break;
            case Family::subscriptions:
                recalled.filters.push_back(as_text(row.key.subspan(8)));
                break;
            case Family::inbound:
                if (row.key.size() != 10) break;
                recalled.incoming.push_back(
                    static_cast<std::uint16_t>((row.key[8] << 8) | row.key[9]));
                break;
            default:
                break;
        }
    }
    view.filters = recalled.filters;
    view.incoming = recalled.incoming;
}

void StoreJournal::answer_recall(std::uint32_t ticket, RecalledSession::Outcome outcome,
                                 std::unique_ptr<Recalled> recalled) {
    if (!recalled) recalled = std::make_unique<Recalled>();
    recalled->view.ticket = ticket;
    recalled->view.outcome = outcome;
    recalls_.erase(ticket);
    recalled_.push_back(std::move(recalled));
}

const RecalledSession* StoreJournal::take_recalled() {
    if (recalled_.empty()) return nullptr;
    recalled_now_ = std::move(recalled_.front());
    recalled_.pop_front();
    return &recalled_now_->view;
}

}  // namespace mitu::journal
