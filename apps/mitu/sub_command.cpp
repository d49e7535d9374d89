// `mitu sub`: prints what arrives on some topics.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>

#include "apps/mitu/client_loop.hpp"
#include "apps/mitu/commands.hpp"
#include "apps/mitu/connection_options.hpp"
#include "apps/mitu/explain.hpp"
#include "apps/mitu/message_format.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::cli {

namespace {

struct SubFlags {
    ConnectionFlags connection;
    std::vector<std::string> filters;
    std::vector<std::string> filter_option;
    std::vector<std::string> unsubscribe;
    std::vector<std::string> filter_out;
    int qos = 0;
    bool no_local = false;
    bool retain_as_published = false;
    int retain_handling = 0;
    std::optional<std::uint32_t> subscription_identifier;
    std::vector<std::string> user_properties;
    Version5Options version5;

    std::uint64_t count = 0;
    bool first = false;
    Duration timeout;
    bool exit_after_suback = false;
    bool no_retained = false;
    bool retained_only = false;
    bool remove_retained = false;
    bool no_reconnect = false;

    std::string format;
    bool verbose = false;
    bool no_newline = false;
    bool json = false;
    bool json_payload = false;
    bool quiet = false;
};

Arrival arrival_now() {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return {.unix_ns = std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec};
}

class Subscriber {
public:
    Subscriber(const SubFlags& flags, Connection connection, MessageFormat format, Bytes user)
        : flags_{flags},
          format_{std::move(format)},
          user_properties_{std::move(user)},
          keeps_session_{flags.connection.keep_session},
          loop_{std::move(connection), !flags.no_reconnect} {}

    ExitCode run() {
        if (const auto opened = loop_.open(); !opened) {
            return complain(ExitCode::connection, cannot_connect(loop_.endpoint(), opened.error()));
        }
        const Instant end_at =
            flags_.timeout > Duration{} ? loop_.now() + flags_.timeout : Instant::never();
        while (loop_.turn(std::min(end_at, leave_by_))) {
            for (std::size_t i = 0; i < loop_.out().events.size() && !finished_; ++i) handle(i);
            if (!text_.empty()) {
                const bool written =
                    std::fwrite(text_.data(), 1, text_.size(), stdout) == text_.size() &&
                    std::fflush(stdout) == 0;
                text_.clear();
                if (!written) {
                    loop_.close();
                    return complain(ExitCode::failed, "standard output is closed");
                }
            }
            if (finished_) {
                loop_.close();
                return *finished_;
            }
            if (loop_.now() >= end_at) {
                loop_.close();
                if (flags_.count == 0) return ExitCode::ok;
                return complain(ExitCode::timed_out,
                                fmt::format("{} of {} messages came within {:g} s", printed_,
                                            flags_.count, flags_.timeout.as_seconds()));
            }
            if (loop_.interrupted() && leave_by_.is_never() && !leave()) break;
            if (loop_.now() >= leave_by_) break;
        }
        loop_.close();
        return ExitCode::ok;
    }

private:
    /// Whoever asked to stop is unsubscribed first, so that nothing is sent into the void; a
    /// session that is to be kept keeps its subscriptions. False: there is nothing to wait for.
    bool leave() {
        if (keeps_session_ || !loop_.session().is_connected()) return false;
        const std::vector<std::string_view> filters{flags_.filters.begin(), flags_.filters.end()};
        if (!loop_.session().unsubscribe(filters, {}, loop_.now(), loop_.out())) return false;
        leave_by_ = loop_.now() + Duration::seconds(2);
        return true;
    }

    void handle(std::size_t index) {
        const client::Event event = loop_.out().events[index];
        if (const auto* message = std::get_if<client::MessageReceived>(&event)) {
            on_message(message->publish);
        } else if (std::holds_alternative<client::Connected>(event)) {
            on_connected();
        } else if (const auto* done = std::get_if<client::SubscribeDone>(&event)) {
            on_subscribe_done(*done);
        } else if (const auto* ended = std::get_if<client::ConnectionEnded>(&event)) {
            const ExitCode code = exit_code_for(*ended);
            complain(code, explain(*ended, loop_.endpoint()));
            const bool taken_over = ended->reason == mqtt::ReasonCode::session_taken_over;
            if (flags_.no_reconnect || taken_over || ended->cause == client::EndCause::refused) {
                finished_ = code;
            }
        } else if (std::holds_alternative<client::AuthRequested>(event)) {
            finished_ =
                complain(ExitCode::failed, "the server asks for an extended authentication");
        }
    }

    void on_connected() {
        if (!flags_.unsubscribe.empty()) {
            const std::vector<std::string_view> filters{flags_.unsubscribe.begin(),
                                                        flags_.unsubscribe.end()};
            const auto sent = loop_.session().unsubscribe(filters, {}, loop_.now(), loop_.out());
            if (!sent) {
                finished_ = complain(ExitCode::failed,
                                     fmt::format("cannot unsubscribe: {}", explain(sent.error())));
                return;
            }
        }
        if (flags_.filters.empty()) return;
        std::vector<client::Subscription> subscriptions;
        for (const std::string& filter : flags_.filters) {
            client::Subscription subscription;
            subscription.filter = filter;
            subscription.options.qos = static_cast<mqtt::QoS>(flags_.qos);
            // A shared subscription must not ask for it [MQTT-3.8.3-4].
            subscription.options.no_local = flags_.no_local && !mqtt::parse_shared(filter);
            subscription.options.retain_as_published = flags_.retain_as_published;
            subscription.options.retain_handling =
                static_cast<mqtt::RetainHandling>(flags_.retain_handling);
            subscriptions.push_back(subscription);
        }
        client::SubscribeRequest request;
        request.subscriptions = subscriptions;
        request.subscription_identifier = flags_.subscription_identifier;
        request.user.block = user_properties_;
        const auto sent = loop_.session().subscribe(request, loop_.now(), loop_.out());
        if (!sent) {
            finished_ = complain(ExitCode::failed,
                                 fmt::format("cannot subscribe: {}", explain(sent.error())));
        }
    }

    void on_subscribe_done(const client::SubscribeDone& done) {
        if (done.unsubscribe) {
            if (!leave_by_.is_never()) finished_ = ExitCode::ok;
            return;
        }
        std::size_t refused = 0;
        for (std::size_t i = 0; i < done.reasons.size() && i < flags_.filters.size(); ++i) {
            const auto reason = static_cast<mqtt::ReasonCode>(done.reasons[i]);
            if (!mqtt::is_error(reason)) continue;
            ++refused;
            const std::string words =
                done.reason_string.empty() ? "" : ": " + std::string{done.reason_string};
            complain(ExitCode::failed, fmt::format("{}: the server refused the subscription: {}{}",
                                                   flags_.filters[i], explain(reason), words));
        }
        if (refused == flags_.filters.size()) {
            finished_ = ExitCode::failed;
        } else if (flags_.exit_after_suback) {
            finished_ = refused == 0 ? ExitCode::ok : ExitCode::failed;
        }
    }

    void on_message(const mqtt::Publish& message) {
        if (flags_.retained_only && !message.retain) {
            // Retained messages come first: with a live one, all of them have come.
            finished_ = ExitCode::ok;
            return;
        }
        if (message.retain && flags_.remove_retained && !message.payload.empty()) {
            client::PublishRequest removal;
            removal.topic = message.topic;
            removal.retain = true;
            const auto sent = loop_.session().publish(removal, loop_.now(), loop_.out());
            if (!sent) {
                complain(ExitCode::failed, fmt::format("{}: cannot be removed: {}", message.topic,
                                                       explain(sent.error())));
            }
        }
        if (message.retain && flags_.no_retained) return;
        for (const std::string& filter : flags_.filter_out) {
            if (mqtt::matches(filter, message.topic)) return;
        }
        print(message);
        ++printed_;
        if (flags_.count != 0 && printed_ >= flags_.count) finished_ = ExitCode::ok;
    }

    void print(const mqtt::Publish& message) {
        if (flags_.quiet) return;
        if (flags_.json || flags_.json_payload) {
            text_ += message_json(message, arrival_now(), flags_.json_payload);
        } else {
            format_.append(text_, message, arrival_now());
        }
        if (!flags_.no_newline) text_ += '\n';
    }

    const SubFlags& flags_;
    MessageFormat format_;
    Bytes user_properties_;
    bool keeps_session_;
    ClientLoop loop_;
    std::string text_;
    std::uint64_t printed_ = 0;
    Instant leave_by_ = Instant::never();
    std::optional<ExitCode> finished_;
};

ExitCode run_sub(SubFlags& flags) {
    flags.filters.insert(flags.filters.end(), flags.filter_option.begin(),
                         flags.filter_option.end());
    if (flags.filters.empty() && flags.unsubscribe.empty()) {
        return complain(ExitCode::usage, "there is no topic filter; write mitu sub FILTER...");
    }
    for (const auto* list : {&flags.filters, &flags.unsubscribe, &flags.filter_out}) {
        for (const std::string& filter : *list) {
            if (mqtt::is_valid_topic_filter(filter)) continue;
            return complain(ExitCode::usage, fmt::format("{}: {}", filter,
                                                         explain(client::Refusal::filter_invalid)));
        }
    }
    if (flags.connection.version != mqtt::ProtocolVersion::v5) {
        if (const auto text = needs_version_5(flags.version5)) {
            return complain(ExitCode::usage, *text);
        }
    }
    if (flags.first) flags.count = 1;
    if (flags.format.empty()) flags.format = flags.verbose ? "%t %p" : "%p";
    auto format = MessageFormat::parse(flags.format);
    if (!format) {
        return complain(ExitCode::usage,
                        fmt::format("--format {}: {}", flags.format, format.error()));
    }
    auto connection = make_connection(flags.connection);
    if (!connection) return complain(ExitCode::usage, connection.error());
    auto user = make_user_properties(flags.user_properties, "--user-property");
    if (!user) return complain(ExitCode::usage, user.error());
    return Subscriber{flags, std::move(*connection), std::move(*format), std::move(*user)}.run();
}

void add_subscription_options(CLI::App& command, SubFlags& flags) {
    const std::string group = "Subscription";
    const auto version5 = [&](CLI::Option* option) {
        option->group(group);
        flags.version5.push_back(option);
    };
    command.add_option("FILTER", flags.filters, "topic filters; or --topic")->group(group);
    command
        .add_option("-t,--topic", flags.filter_option,
                    "a topic filter; may be given more than once")
        ->group(group)
        ->allow_extra_args(false);
    command.add_option("-q,--qos", flags.qos, "highest QoS to receive with (0)")
        ->group(group)
        ->check(CLI::Range(0, 2));
    command
        .add_option("-U,--unsubscribe", flags.unsubscribe,
                    "a filter to unsubscribe from first; may be given more than once")
        ->group(group)
        ->allow_extra_args(false);
    version5(
        command.add_flag("--no-local", flags.no_local, "not what this client publishes itself"));
    version5(command.add_flag("--retain-as-published", flags.retain_as_published,
                              "keep the retain flag as it was published"));
    version5(command
                 .add_option("--retain-handling", flags.retain_handling,
                             "retained messages: 0 send, 1 send if the subscription is new, 2 do "
                             "not send (0)")
                 ->check(CLI::Range(0, 2)));
    version5(command
                 .add_option("--subscription-identifier", flags.subscription_identifier,
                             "a number that comes back with every message")
                 ->check(CLI::Range(1, 268'435'455)));
    version5(command
                 .add_option("--user-property", flags.user_properties,
                             "user property NAME=VALUE of SUBSCRIBE; may be given more than once")
                 ->allow_extra_args(false));
}

void add_output_options(CLI::App& command, SubFlags& flags) {
    const std::string group = "Output";
    command.add_option("-F,--format", flags.format, "how a message is printed (%p); letters below")
        ->group(group);
    command.add_flag("-v,--verbose", flags.verbose, "topic and payload, as --format '%t %p'")
        ->group(group);
    command.add_flag("--json", flags.json, "one JSON object a line, with properties")->group(group);
    command
        .add_flag("--json-payload", flags.json_payload,
                  "the same, with a payload that is JSON put in as such")
        ->group(group);
    command.add_flag("-N,--no-newline", flags.no_newline, "no end of line after a message")
        ->group(group);
    command
        .add_option("-T,--filter-out", flags.filter_out,
                    "do not print topics that this filter matches; may be given more than once")
        ->group(group)
        ->allow_extra_args(false);
    command.add_flag("-R,--no-retained", flags.no_retained, "do not print retained messages")
        ->group(group);
    command.add_flag("--quiet", flags.quiet, "print no messages")->group(group);
}

void add_ending_options(CLI::App& command, SubFlags& flags) {
    const std::string group = "Ending";
    command.add_option("-C,--count", flags.count, "end after this many messages")->group(group);
    command.add_flag("-1,--first", flags.first, "end after the first message")->group(group);
    add_duration_option(command, "-W,--timeout", flags.timeout, "end after this time")
        ->group(group);
    command
        .add_flag("-E,--exit-after-suback", flags.exit_after_suback,
                  "end once the server has confirmed the subscriptions")
        ->group(group);
    command
        .add_flag("--retained-only", flags.retained_only,
                  "print retained messages only; end with the first that is not")
        ->group(group);
    command
        .add_flag("--remove-retained", flags.remove_retained,
                  "remove the retained messages that come from the server")
        ->group(group);
    command
        .add_flag("--no-reconnect", flags.no_reconnect,
                  "end when the connection is lost, instead of connecting again")
        ->group(group);
}

}  // namespace

void add_sub_command(CLI::App& app, Outcome& outcome) {
    auto flags = std::make_shared<SubFlags>();
    CLI::App* command = app.add_subcommand("sub", "subscribe and print what arrives");
    add_subscription_options(*command, *flags);
    add_output_options(*command, *flags);
    add_ending_options(*command, *flags);
    add_connection_options(*command, flags->connection);
    command->footer(fmt::format(R"(
{}

Examples:
  mitu sub 'fleet/+/telemetry' --verbose
  mitu sub 't/#' --json --qos 1 --count 100 --timeout 30s
  mitu sub '$share/workers/jobs/#' --qos 1 --client-id worker-1 --keep-session
  mitu sub 'config/#' --retained-only --format '%I %t %x' --timeout 2s

Ctrl-C unsubscribes and disconnects; with --keep-session the subscriptions stay.
)",
                                format_help()));
    command->callback([flags, &outcome] { outcome.exit_code = run_sub(*flags); });
}

}  // namespace mitu::cli
