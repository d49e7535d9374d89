#include "mitu/node/key_fetcher.hpp"

#include <utility>

#include "mitu/trace/log.hpp"

namespace mitu::node {

void KeyFetcher::wait(std::function<void()> done) {
    begin(true);
    {
        const MutexLock lock{mutex_};
        if (is_under_way_ && waiting_.size() < options_.waiting_max) {
            waiting_.push_back(std::move(done));
            return;
        }
    }
    done();
}

void KeyFetcher::begin(bool is_wanted) {
    std::optional<identity::KeyRequest> request;
    {
        // Under the lock, so that whoever comes next finds the fetch under way and waits for it.
        const MutexLock lock{mutex_};
        request = source_->begin(clock_.now(), is_wanted);
        if (!request) return;
        is_under_way_ = true;
    }
    fetch_(*request,
           [self = shared_from_this()](const identity::KeyReply& reply) { self->finish(reply); });
}

void KeyFetcher::finish(const identity::KeyReply& reply) {
    std::vector<std::function<void()>> waiting;
    identity::KeyFetch fetch;
    {
        const MutexLock lock{mutex_};
        fetch = source_->finish(reply, clock_.now());
        is_under_way_ = false;
        waiting.swap(waiting_);
    }
    log_fetch(fetch);
    for (const auto& done : waiting) done();
}

void KeyFetcher::log_fetch(const identity::KeyFetch& fetch) const {
    using Result = identity::KeyFetch::Result;
    if (fetch.result == Result::fetched) {
        trace::log(trace::Level::info, "jwt_keys_fetched",
                   {{"method", options_.method},
                    {"keys", fetch.keys},
                    {"next_in_s", fetch.next.count_s()}});
    } else if (fetch.result == Result::failed) {
        trace::log(trace::Level::warn, "jwt_keys_not_fetched",
                   {{"method", options_.method},
                    {"reason", fetch.problem},
                    {"next_in_s", fetch.next.count_s()},
                    {"effect", fetch.keys != 0 ? "the keys fetched before stay in use"
                                               : "tokens of this method are refused"}});
    }
    for (const std::string& warning : fetch.warnings) {
        trace::log(trace::Level::warn, "jwt_key_left_out",
                   {{"method", options_.method}, {"text", warning}});
    }
}

}  // namespace mitu::node
