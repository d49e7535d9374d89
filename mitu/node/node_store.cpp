#include "mitu/node/node_store.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "mitu/api/text.hpp"
#include "mitu/store/directory.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::node {

using api::Answer;
using api::Code;
using api::refuse;
using Json = nlohmann::ordered_json;

namespace {

std::unexpected<api::Error> refusal_of(const store::Error& error) {
    return refuse(error.kind == store::ErrorKind::refused ? Code::cannot_apply : Code::not_saved,
                  error.detail);
}

}  // namespace

NodeStore::~NodeStore() {
    is_ending_.store(true);
    std::thread last;  // tidy-allow(threads): it reads a disk
    {
        const MutexLock lock{mutex_};
        last = std::move(thread_);
    }
    if (last.joinable()) last.join();
}

Answer<std::string> NodeStore::numbers() {
    const auto identity = store::read_identity(store_.engine());
    if (!identity) return refusal_of(identity.error());
    return store::stats_json(store_.engine(), *identity, store_.accepts_growth());
}

Answer<std::string> NodeStore::start_check() {
    const MutexLock lock{mutex_};
    if (state_ == State::running || is_ending_.load()) return state_json();
    if (thread_.joinable()) thread_.join();  // it has said its last word
    state_ = State::running;
    started_at_ = clock_.wall();
    thread_ = std::thread{[this] { check(); }};  // tidy-allow(threads): it reads a disk
    return state_json();
}

Answer<std::string> NodeStore::last_check() {
    const MutexLock lock{mutex_};
    return state_json();
}

void NodeStore::check() {
    const auto found = store::inspect_open(store_.engine(), store_.directory(), clock_.wall(),
                                           [this] { return !is_ending_.load(); });
    if (found && !found->is_sound()) {
        trace::log(trace::Level::error, "store_check",
                   {{"sound", false},
                    {"damaged", found->damaged.size()},
                    {"findings", found->report.findings_total}});
    }
    const MutexLock lock{mutex_};
    state_ = found ? State::done : State::failed;
    outcome_ = found ? store::to_json(*found) : found.error().detail;
}

std::string NodeStore::state_json() const {
    constexpr const char* names[] = {"none", "running", "done", "failed"};
    return Json{{"state", names[static_cast<std::size_t>(state_)]},
                {"started_at", started_at_ ? Json(api::time_text(*started_at_)) : Json(nullptr)},
                {"error", state_ == State::failed ? Json(outcome_) : Json(nullptr)},
                {"report", state_ == State::done ? Json::parse(outcome_) : Json(nullptr)}}
        .dump();
}

Answer<std::string> NodeStore::back_up(const std::string& directory) {
    const auto made = store::back_up(store_.engine(), store_.directory(), directory);
    if (!made) return refusal_of(made.error());
    trace::log(trace::Level::info, "store_backed_up",
               {{"directory", made->directory}, {"files", made->files}, {"bytes", made->bytes}});
    return store::to_json(*made);
}

}  // namespace mitu::node
