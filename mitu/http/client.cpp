#include "mitu/http/client.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <deque>
#include <thread>

#include "mitu/base/check.hpp"
#include "mitu/base/mutex.hpp"
#include "mitu/http/client_checks.hpp"
#include "mitu/http/client_connection.hpp"

// Asio's functions return the error that they also set.
// NOLINTBEGIN(bugprone-unused-return-value)
namespace mitu::http {
/// Owns the thread, the connections and the requests until they are over. Everything private below
/// send() lives on the thread.
class Client::Impl {
public:
    using Connection = ClientConnection<Impl>;
    using ConnectionPtr = std::shared_ptr<Connection>;

    explicit Impl(ClientOptions options) : options_{std::move(options)} {}
    ~Impl() { stop(); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    Result<void, std::string> start() {
        auto url = parse_url(options_.url);
        if (!url) return std::unexpected(url.error());
        if (auto problem = find_problem(options_); !problem.empty()) {
            return std::unexpected(fmt::format("HTTP client of {}: {}", url->host, problem));
        }
        if (url->is_https) {
            auto context = load_tls_client_context(options_.ca_file);
            if (!context) return std::unexpected(context.error());
            tls_ = as_asio(*context);
        }
        url_ = std::move(*url);
        const MutexLock lock{mutex_};
        MITU_CHECK_MSG(state_ == State::fresh, "a client starts once");
        state_ = State::running;
        thread_ = std::thread{[this] {
            pthread_setname_np(pthread_self(), "mitu-http-out");
            context_.run();
        }};
        return {};
    }

    void send(ClientRequest request, Done done) {
        const auto job = std::make_shared<Job>();
        job->done = std::move(done);
        job->deadline = std::chrono::steady_clock::now() + to_chrono(options_.request_timeout);
        std::string problem = find_problem(request);
        if (problem.empty()) write_message(std::move(request), *job);
        {
            const MutexLock lock{mutex_};
            MITU_CHECK_MSG(state_ != State::fresh, "start() comes before send()");
            if (state_ == State::running) {
                post(job, std::move(problem));
                return;
            }
        }
        job->done(std::unexpected(ClientError{ClientFault::stopped, url_.host}));
    }

    void stop() {
        {
            const MutexLock lock{mutex_};
            if (state_ != State::running) return;
            state_ = State::stopped;
            asio::post(context_, [this] { end(); });
        }
        thread_.join();
    }

    [[nodiscard]] Counts counts() const noexcept {
        const auto read = [](const auto& count) { return count.load(std::memory_order_relaxed); };
        return {read(requests_),     read(open_),        read(opened_total_),
                read(reused_total_), read(again_total_), read(busy_total_)};
    }

    // What a connection asks of its pool.

    [[nodiscard]] const ClientOptions& options() const { return options_; }
    [[nodiscard]] const Url& url() const { return url_; }
    [[nodiscard]] asio::ssl::context* tls() const { return tls_.get(); }

    /// One question at a time to the resolver, whoever waits for it: were it to hang, it would
    /// answer the others no sooner for being asked again.
    void resolve(const ConnectionPtr& connection) {
        error_code error;
        if (const auto address = asio::ip::make_address(url_.host, error); !error) {
            return connection->on_resolved({}, {{address, url_.port}});
        }
        resolving_.push_back(connection);
        if (std::exchange(is_resolving_, true)) return;
        resolver_.async_resolve(url_.host, std::to_string(url_.port),
                                asio::ip::tcp::resolver::numeric_service,
                                [this](error_code failure, const auto& found) {
                                    is_resolving_ = false;
                                    Endpoints endpoints;
                                    for (const auto& entry : found) {
                                        endpoints.push_back(entry.endpoint());
                                    }
                                    for (const auto& one : std::exchange(resolving_, {})) {
                                        one->on_resolved(failure, endpoints);
                                    }
                                });
    }

    void on_response(const ConnectionPtr& connection, ClientResponse response, bool may_keep) {
        const JobPtr job = connection->take_job();
        if (!may_keep) {
            drop(connection);
        } else if (waiting_.empty()) {
            idle_.push_back(connection);
            connection->keep();
        } else {
            ask_again(connection);
        }
        serve();
        finish(*job, std::move(response));
    }

    void on_error(const ConnectionPtr& connection, ClientError error, bool may_send_again) {
        const JobPtr job = connection->take_job();
        drop(connection);
        if (may_send_again && !job->is_sent_again) {
            job->is_sent_again = true;
            count(again_total_);
            return open(job);  // not over another kept one, which may be as dead
        }
        serve();
        finish(*job, std::unexpected(std::move(error)));
    }

    void on_idle_end(const ConnectionPtr& connection) { drop(connection); }

private:
    enum class State : std::uint8_t { fresh, running, stopped };
    using Count = std::atomic<std::uint64_t>;

    static void count(Count& total) { total.fetch_add(1, std::memory_order_relaxed); }

    void write_message(ClientRequest request, Job& job) const {
        auto& message = job.message;
        message.version(11);
        message.method_string(request.method);
        message.target(url_.join(request.target));
        message.set(bhttp::field::host, url_.authority());
        message.set(bhttp::field::user_agent, "mitu");
        for (const auto& [name, value] : options_.headers) message.set(name, value);
        for (const auto& [name, value] : request.headers) message.set(name, value);
        if (!request.content_type.empty()) {
            message.set(bhttp::field::content_type, request.content_type);
        }
        message.body() = std::move(request.body);
        if (!job.is_safe() || !message.body().empty()) {
            message.content_length(message.body().size());
        }
    }

    void post(const JobPtr& job, std::string problem) MITU_REQUIRES(mutex_) {
        if (!problem.empty()) {
            count(requests_);
            return refuse(job, {ClientFault::malformed, std::move(problem)});
        }
        const std::uint64_t requests = requests_.load(std::memory_order_relaxed);
        count(requests_);
        if (requests >= options_.connections_max + options_.waiting_max) {
            count(busy_total_);
            return refuse(job, {ClientFault::busy, fmt::format("{} requests wait for {}",
                                                               options_.waiting_max, url_.host)});
        }
        asio::post(context_, [this, job] { begin(job); });
    }

    void refuse(const JobPtr& job, ClientError error) {
        asio::post(context_,
                   [this, job, error = std::move(error)] { finish(*job, std::unexpected(error)); });
    }

    void begin(const JobPtr& job) {
        if (is_ending_) return finish(*job, stopped());
        job->timer.emplace(context_, job->deadline);
        job->timer->async_wait([this, job](error_code cancelled) {
            if (!cancelled && !job->is_over) on_deadline(job);
        });
        waiting_.push_back(job);
        serve();
    }

    /// Gives connections to those who wait, as long as there are any.
    void serve() {
        while (!waiting_.empty()) {
            if (!idle_.empty()) {
                // The youngest: the others may reach idle_max.
                const ConnectionPtr connection = idle_.back();
                idle_.pop_back();
                ask_again(connection);
            } else if (connections_.size() < options_.connections_max) {
                open(take_waiting());
            } else {
                return;
            }
        }
    }

    JobPtr take_waiting() {
        JobPtr job = std::move(waiting_.front());
        waiting_.pop_front();
        return job;
    }

    void ask_again(const ConnectionPtr& connection) {
        count(reused_total_);
        connection->ask(take_waiting());
    }

    void open(const JobPtr& job) {
        const auto connection = std::make_shared<Connection>(*this, context_);
        connections_.push_back(connection);
        count(open_);
        count(opened_total_);
        connection->open(job);
    }

    void drop(const ConnectionPtr& connection) {
        std::erase(idle_, connection);
        std::erase(resolving_, connection);
        open_.fetch_sub(std::erase(connections_, connection), std::memory_order_relaxed);
        connection->close();
    }

    void on_deadline(const JobPtr& job) {
        std::string doing = "waiting for a connection";
        if (std::erase(waiting_, job) == 0) {
            const auto found = std::find_if(connections_.begin(), connections_.end(),
                                            [&](const auto& one) { return one->job() == job; });
            MITU_CHECK_MSG(found != connections_.end(), "a request waits or has a connection");
            const ConnectionPtr connection = *found;
            doing = connection->doing();
            drop(connection);
        }
        serve();
        finish(*job, std::unexpected(ClientError{ClientFault::timeout,
                                                 fmt::format("{}: {}", url_.host, doing)}));
    }

    void finish(Job& job, Result<ClientResponse, ClientError> result) {
        job.is_over = true;
        if (job.timer) job.timer->cancel();
        requests_.fetch_sub(1, std::memory_order_relaxed);
        std::exchange(job.done, nullptr)(std::move(result));
    }

    [[nodiscard]] std::unexpected<ClientError> stopped() const {
        return std::unexpected(ClientError{ClientFault::stopped, url_.host});
    }

    void end() {
        is_ending_ = true;
        std::vector<JobPtr> jobs{waiting_.begin(), waiting_.end()};
        waiting_.clear();
        for (const ConnectionPtr& connection : std::vector{connections_}) {
            if (connection->job()) jobs.push_back(connection->take_job());
            drop(connection);
        }
        for (const JobPtr& job : jobs) finish(*job, stopped());
        // Behind the requests that send() took before stop() and that begin() has yet to see.
        asio::post(context_, [this] { context_.stop(); });
    }

    const ClientOptions options_;
    Url url_;                                  // from start() on
    std::shared_ptr<asio::ssl::context> tls_;  // from start() on; nullptr: http
    Mutex mutex_;
    State state_ MITU_GUARDED_BY(mutex_) = State::fresh;
    Count requests_{0};
    Count open_{0};
    Count opened_total_{0};
    Count reused_total_{0};
    Count again_total_{0};
    Count busy_total_{0};
    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
    asio::ip::tcp::resolver resolver_{context_};
    // After context_, whose services their sockets and timers need.
    std::deque<JobPtr> waiting_;  // the oldest first
    std::vector<ConnectionPtr> connections_;
    std::vector<ConnectionPtr> idle_;       // of them
    std::vector<ConnectionPtr> resolving_;  // of them
    bool is_resolving_ = false;
    bool is_ending_ = false;
    std::thread thread_;
};

std::string_view to_string(ClientFault fault) noexcept {
    switch (fault) {
        case ClientFault::busy:
            return "busy";
        case ClientFault::resolve:
            return "resolve";
        case ClientFault::connect:
            return "connect";
        case ClientFault::tls:
            return "tls";
        case ClientFault::timeout:
            return "timeout";
        case ClientFault::closed:
            return "closed";
        case ClientFault::too_large:
            return "too_large";
        case ClientFault::malformed:
            return "malformed";
        case ClientFault::stopped:
            return "stopped";
    }
    return "unknown";
}

std::string ClientError::text() const { return fmt::format("{}: {}", to_string(fault), detail); }

Client::Client(ClientOptions options) : impl_{std::make_unique<Impl>(std::move(options))} {}
Client::~Client() = default;
Result<void, std::string> Client::start() { return impl_->start(); }
void Client::send(ClientRequest request, Done done) {
    impl_->send(std::move(request), std::move(done));
}
void Client::stop() { impl_->stop(); }
Client::Counts Client::counts() const noexcept { return impl_->counts(); }

}  // namespace mitu::http
// NOLINTEND(bugprone-unused-return-value)
