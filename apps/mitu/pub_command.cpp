// `mitu pub`: sends one message, the lines of standard input, or one message again and again.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/mitu/client_loop.hpp"
#include "apps/mitu/commands.hpp"
#include "apps/mitu/connection_options.hpp"
#include "apps/mitu/csv.hpp"
#include "apps/mitu/explain.hpp"
#include "apps/mitu/message_source.hpp"
#include "mitu/mqtt/topic.hpp"

namespace mitu::cli {

namespace {

using client::PublishOutcome;
using mqtt::QoS;
using mqtt::ReasonCode;

// Of QoS 0, which no window holds back: how much may wait for the network.
constexpr std::size_t pending_bytes_max = 1 << 20;

struct PubFlags {
    ConnectionFlags connection;
    MessageFlags message_properties;
    std::string topic;
    std::string topic_option;
    std::optional<std::string> message;
    std::optional<std::string> message_option;
    std::string file;
    bool stdin_lines = false;
    bool stdin_whole = false;
    bool null_message = false;
    int qos = 0;
    bool retain = false;
    std::uint64_t repeat = 1;
    Duration repeat_delay;
    Duration timeout;
    bool reconnect = false;
    bool quiet = false;
    bool json = false;
};

struct PubResult {
    std::uint64_t sent = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t without_subscribers = 0;
    std::uint64_t failed = 0;
    ReasonCode last_reason = ReasonCode::success;
};

class Publisher {
public:
    Publisher(const PubFlags& flags, Connection connection, client::MessageProperties properties,
              MessageSource source)
        : flags_{flags},
          properties_{std::move(properties)},
          source_{std::move(source)},
          loop_{std::move(connection), flags.reconnect} {}

    ExitCode run() {
        if (const auto opened = loop_.open(); !opened) {
            return complain(ExitCode::connection, cannot_connect(loop_.endpoint(), opened.error()));
        }
        const Instant give_up =
            flags_.timeout > Duration{} ? loop_.now() + flags_.timeout : Instant::never();
        // Regular files and pipes that are full already say nothing more to poll().
        if (const auto filled = source_.fill(); !filled) {
            return complain(ExitCode::usage, filled.error());
        }
        while (!is_done()) {
            const bool has_room = source_.next() == std::nullopt;
            if (!loop_.turn(std::min(give_up, wake_at()), has_room ? source_.wait_fd() : -1)) break;
            if (loop_.extra_is_readable()) {
                if (const auto filled = source_.fill(); !filled) {
                    return complain(ExitCode::usage, filled.error());
                }
            }
            for (std::size_t i = 0; i < loop_.out().events.size(); ++i) handle(i);
            if (ended_) return *ended_;
            if (const auto refused = send_what_is_due()) return *refused;
            if (loop_.interrupted()) {
                loop_.close();
                return complain(ExitCode::failed, "interrupted before everything was acknowledged");
            }
            if (loop_.now() >= give_up) {
                loop_.close();
                return complain(
                    ExitCode::timed_out,
                    fmt::format("{} not finished within {:g} s: {} sent, {} acknowledged", topic(),
                                flags_.timeout.as_seconds(), result_.sent, result_.acknowledged));
            }
        }
        loop_.close();
        print_result();
        return result_.failed == 0 ? ExitCode::ok : ExitCode::failed;
    }

private:
    [[nodiscard]] const std::string& topic() const { return flags_.topic; }
    [[nodiscard]] QoS qos() const { return static_cast<QoS>(flags_.qos); }
    [[nodiscard]] bool is_done() {
        return source_.is_exhausted() && loop_.session().unacknowledged_count() == 0;
    }
    [[nodiscard]] bool may_send() {
        if (!loop_.session().is_connected()) return false;
        if (qos() == QoS::at_most_once) return loop_.pending_bytes() < pending_bytes_max;
        return loop_.session().window_free() > 0;
    }
    /// A turn of poll() must not wait while there is something that can be sent.
    [[nodiscard]] Instant wake_at() {
        if (!source_.next() || !may_send()) return Instant::never();
        return next_at_;
    }

    std::optional<ExitCode> send_what_is_due() {
        while (may_send() && loop_.now() >= next_at_) {
            const auto payload = source_.next();
            if (!payload) return std::nullopt;
            client::PublishRequest request;
            request.topic = topic();
            request.payload = *payload;
            request.qos = qos();
            request.retain = flags_.retain;
            request.properties = properties_.view();
            request.token = result_.sent + 1;
            const auto taken = loop_.session().publish(request, loop_.now(), loop_.out());
            if (!taken) {
                loop_.close();
                return complain(ExitCode::failed,
                                fmt::format("{}: {}", topic(), explain(taken.error())));
            }
            ++result_.sent;
            source_.pop();
            if (flags_.repeat_delay > Duration{}) next_at_ = loop_.now() + flags_.repeat_delay;
        }
        return std::nullopt;
    }

    void handle(std::size_t index) {
        const client::Event event = loop_.out().events[index];
        if (const auto* done = std::get_if<client::PublishDone>(&event)) {
            result_.last_reason = done->reason;
            if (done->outcome == PublishOutcome::acknowledged) {
                ++result_.acknowledged;
                if (done->reason == ReasonCode::no_matching_subscribers) {
                    ++result_.without_subscribers;
                }
                return;
            }
            ++result_.failed;
            const std::string words =
                done->reason_string.empty() ? "" : ": " + std::string{done->reason_string};
            switch (done->outcome) {
                case PublishOutcome::refused:
                    complain(ExitCode::failed,
                             fmt::format("{}: the server refused message {}: {}{}", topic(),
                                         done->token, explain(done->reason), words));
                    break;
                case PublishOutcome::not_sent:
                    complain(ExitCode::failed,
                             fmt::format("{}: the server does not take message {}: {}", topic(),
                                         done->token, explain(done->reason)));
                    break;
                default:
                    complain(
                        ExitCode::failed,
                        fmt::format("{}: the server lost the session while message {} was under "
                                    "way; it may or may not have arrived",
                                    topic(), done->token));
            }
        } else if (const auto* ended = std::get_if<client::ConnectionEnded>(&event)) {
            const bool final = !flags_.reconnect || ended->cause == client::EndCause::refused;
            const ExitCode code = exit_code_for(*ended);
            complain(code, explain(*ended, loop_.endpoint()));
            if (final) ended_ = code;
        } else if (std::holds_alternative<client::AuthRequested>(event)) {
            ended_ = complain(ExitCode::failed, "the server asks for an extended authentication");
        }
    }

    void print_result() const {
        if (flags_.quiet) return;
        const bool knows_subscribers =
            flags_.connection.version == mqtt::ProtocolVersion::v5 && qos() != QoS::at_most_once;
        const bool none = knows_subscribers && result_.acknowledged > 0 &&
                          result_.without_subscribers == result_.acknowledged;
        if (flags_.json) {
            nlohmann::ordered_json line{
                {"ok", result_.failed == 0}, {"topic", topic()},
                {"qos", flags_.qos},         {"retain", flags_.retain},
                {"messages", result_.sent},  {"acknowledged", result_.acknowledged},
                {"failed", result_.failed}};
            if (knows_subscribers) line["without_subscribers"] = result_.without_subscribers;
            if (none) line["subscribers"] = 0;
            if (result_.sent == 1 && qos() != QoS::at_most_once) {
                line["reason"] = mqtt::to_text(result_.last_reason);
            }
            std::puts(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
            return;
        }
        if (result_.failed > 0 && result_.sent == 1) return;  // said already, on stderr
        std::string line = fmt::format("{}  {}  qos={}", result_.failed == 0 ? "ok" : "failed",
                                       topic(), flags_.qos);
        if (flags_.retain) line += "  retain=1";
        if (result_.sent != 1) line += fmt::format("  messages={}", result_.sent);
        if (result_.failed > 0) line += fmt::format("  failed={}", result_.failed);
        // Version 5 says when there is no subscriber; how many there are, it never says.
        if (none) line += "  subscribers=0";
        std::puts(line.c_str());
    }

    const PubFlags& flags_;
    client::MessageProperties properties_;
    MessageSource source_;
    ClientLoop loop_;
    PubResult result_;
    Instant next_at_;
    std::optional<ExitCode> ended_;
};

Result<MessageSource, std::string> make_source(const PubFlags& flags) {
    const int named = (flags.message ? 1 : 0) + (flags.file.empty() ? 0 : 1) +
                      (flags.stdin_lines ? 1 : 0) + (flags.stdin_whole ? 1 : 0) +
                      (flags.null_message ? 1 : 0);
    if (named == 0) {
        return std::unexpected(
            "there is no message; give it after the topic, or one of --file, --stdin, --lines, "
            "--null");
    }
    if (named > 1) {
        return std::unexpected(
            "there is more than one message; give one of MESSAGE, --file, --stdin, --lines, "
            "--null");
    }
    if (flags.stdin_lines) {
        if (flags.repeat != 1) {
            return std::unexpected("--repeat and --lines do not go together; drop one");
        }
        return MessageSource::stdin_lines();
    }
    if (flags.null_message) return MessageSource::once({}, flags.repeat);
    if (flags.message) return MessageSource::once(to_bytes(as_bytes(*flags.message)), flags.repeat);
    const std::string path = flags.stdin_whole ? "/dev/stdin" : flags.file;
    const auto text = read_file(path);
    if (!text) {
        return std::unexpected(fmt::format(
            "{}: {}", flags.stdin_whole ? "--stdin" : "--file " + flags.file, text.error()));
    }
    return MessageSource::once(to_bytes(as_bytes(*text)), flags.repeat);
}

ExitCode run_pub(PubFlags& flags) {
    if (flags.topic.empty()) {
        flags.topic = flags.topic_option;
    } else if (!flags.topic_option.empty()) {
        // `mitu pub -t TOPIC MESSAGE`: what stands alone is the message.
        if (flags.message) {
            return complain(ExitCode::usage, "the topic is given twice; drop --topic or TOPIC");
        }
        flags.message = std::exchange(flags.topic, flags.topic_option);
    }
    if (flags.message_option) {
        if (flags.message) {
            return complain(ExitCode::usage,
                            "the message is given twice; drop --message or MESSAGE");
        }
        flags.message = flags.message_option;
    }
    if (flags.topic.empty()) {
        return complain(ExitCode::usage, "there is no topic; write mitu pub TOPIC MESSAGE");
    }
    if (!mqtt::is_valid_topic_name(flags.topic)) {
        return complain(ExitCode::usage, fmt::format("{}: {}", flags.topic,
                                                     explain(client::Refusal::topic_invalid)));
    }
    if (flags.connection.version != mqtt::ProtocolVersion::v5) {
        if (const auto text = needs_version_5(flags.message_properties.version5)) {
            return complain(ExitCode::usage, *text);
        }
    }
    auto connection = make_connection(flags.connection);
    if (!connection) return complain(ExitCode::usage, connection.error());
    auto properties = make_properties(flags.message_properties, "");
    if (!properties) return complain(ExitCode::usage, properties.error());
    auto source = make_source(flags);
    if (!source) return complain(ExitCode::usage, source.error());
    return Publisher{flags, std::move(*connection), std::move(*properties), std::move(*source)}
        .run();
}

}  // namespace

void add_pub_command(CLI::App& app, Outcome& outcome) {
    auto flags = std::make_shared<PubFlags>();
    CLI::App* command = app.add_subcommand("pub", "publish a message, or many");

    const std::string message = "Message";
    command->add_option("TOPIC", flags->topic, "the topic; or --topic")->group(message);
    command->add_option("MESSAGE", flags->message, "the payload; or one of the options below")
        ->group(message);
    command->add_option("-t,--topic", flags->topic_option, "the topic")->group(message);
    command->add_option("-m,--message", flags->message_option, "the payload")->group(message);
    command->add_option("-f,--file", flags->file, "the payload is the content of this file")
        ->group(message);
    command->add_flag("-s,--stdin", flags->stdin_whole, "the payload is all of standard input")
        ->group(message);
    command->add_flag("-l,--lines", flags->stdin_lines, "each line of standard input is a message")
        ->group(message);
    command
        ->add_flag("-n,--null", flags->null_message,
                   "an empty payload; with --retain it removes what is retained")
        ->group(message);
    command
        ->add_option("-q,--qos", flags->qos,
                     "0: at most once, 1: at least once, 2: exactly once (0)")
        ->group(message)
        ->check(CLI::Range(0, 2));
    command
        ->add_flag("-r,--retain", flags->retain,
                   "the server keeps the message for later subscribers")
        ->group(message);
    command->add_option("--repeat", flags->repeat, "send the message this many times (1)")
        ->group(message)
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 62));
    add_duration_option(*command, "--repeat-delay", flags->repeat_delay,
                        "wait this long between messages (0)")
        ->group(message);

    const std::string properties = "Message properties (MQTT 5)";
    add_message_options(*command, flags->message_properties, "", properties);
    auto* alias = command
                      ->add_option("--topic-alias", flags->message_properties.topic_alias,
                                   "topic alias to set")
                      ->group(properties)
                      ->check(CLI::Range(1, 65'535));
    flags->message_properties.version5.push_back(alias);

    add_connection_options(*command, flags->connection);

    const std::string running = "Running";
    add_duration_option(*command, "-W,--timeout", flags->timeout, "give up after this time (never)")
        ->group(running);
    command
        ->add_flag("--reconnect", flags->reconnect,
                   "connect again when the connection is lost, and send what is unacknowledged")
        ->group(running);
    command->add_flag("--json", flags->json, "print the result as a JSON object")->group(running);
    command->add_flag("--quiet", flags->quiet, "print nothing but errors")->group(running);

    command->footer(R"(
Examples:
  mitu pub fleet/d1/cmd hello --qos 1
  mitu pub fleet/d1/config --file config.json --retain --content-type application/json
  tail --follow app.log | mitu pub logs/app --lines --qos 1 --reconnect
  mitu pub fleet/d1/config --null --retain            # removes the retained message

`subscribers=0` in the answer means that the server knows of no subscriber (QoS 1 and 2, MQTT 5).
)");
    command->callback([flags, &outcome] { outcome.exit_code = run_pub(*flags); });
}

}  // namespace mitu::cli
