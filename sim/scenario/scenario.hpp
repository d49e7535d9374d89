#pragma once
// A scenario: who takes part, what they do, and what is expected of the server. The language is in
// README.md; this is what parse_scenario() makes of it.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "mitu/base/bytes.hpp"
#include "mitu/base/result.hpp"
#include "mitu/base/time.hpp"
#include "mitu/broker/journal.hpp"
#include "mitu/broker/testing/peer.hpp"
#include "mitu/mqtt/types.hpp"
#include "sim/scenario/fields.hpp"
#include "sim/scenario/words.hpp"

namespace mitu::sim::scenario {

using broker::testing::ConnectOptions;
using broker::testing::FilterOptions;
using broker::testing::PublishOptions;
using broker::testing::UserPairs;

/// A packet id, or a name that stands for one: an `expect ... id=NAME` gives it its value.
struct IdRef {
    std::uint16_t number = 0;
    std::string name;
    [[nodiscard]] bool is_given() const noexcept { return number != 0 || !name.empty(); }
};

/// What `->` says of the answer to an action.
struct Answer {
    enum class Kind : std::uint8_t {
        usual,    // nothing was said: the answer must come and be no error
        later,    // `-> later`: not waited for; an expectation must fetch it
        closed,   // `-> closed`: the server closes without a word
        reasons,  // `-> REASON...`: the answer's, or those of the DISCONNECT in its place
    };
    Kind kind = Kind::usual;
    std::vector<mqtt::ReasonCode> reasons;
    /// Other fields of the answer; what they may be depends on the packet that comes.
    std::vector<Word> fields;
};

namespace act {
struct Connect {
    ConnectOptions options;
    bool resends = true;
    bool is_second = false;  // on a connection that is open
};
struct Open {
    mqtt::ProtocolVersion version = mqtt::ProtocolVersion::v5;  // of what will be said on it
};
struct Close {};
struct Publish {
    std::string topic;
    std::string payload;  // {n}: the number of the repetition
    PublishOptions options;
    IdRef id;
    std::uint32_t times = 1;
};
struct Subscribe {
    std::vector<FilterOptions> filters;
    std::uint32_t identifier = 0;
    UserPairs user_properties;
    std::uint16_t packet_id = 0;
};
struct Unsubscribe {
    std::vector<std::string> filters;
    UserPairs user_properties;
    std::uint16_t packet_id = 0;
};
struct Disconnect {
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::optional<std::uint32_t> session_expiry_s;
    std::optional<std::string> reason_string;
    UserPairs user_properties;
};
struct Ping {};
struct Auth {
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::optional<std::string> method;
    std::optional<std::string> data;
};
struct Raw {
    Bytes bytes;
};
/// PUBACK, PUBREC, PUBREL or PUBCOMP by hand.
struct Acknowledge {
    mqtt::PacketType type = mqtt::PacketType::puback;
    IdRef id;
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;
    std::optional<std::string> reason_string;
    UserPairs user_properties;
};
struct HoldAcks {};
struct ReleaseAcks {};
}  // namespace act

using Action = std::variant<act::Connect, act::Open, act::Close, act::Publish, act::Subscribe,
                            act::Unsubscribe, act::Disconnect, act::Ping, act::Auth, act::Raw,
                            act::Acknowledge, act::HoldAcks, act::ReleaseAcks>;

struct ActStep {
    std::size_t actor = 0;  // index into Scenario::actors
    Action action;
    Answer answer;
};

struct ExpectStep {
    enum class Kind : std::uint8_t { packet, closed, nothing };
    std::vector<std::size_t> actors;  // one of them
    Kind kind = Kind::packet;
    mqtt::PacketType type = mqtt::PacketType::publish;
    std::vector<Want> wants;
    std::string id_name;        // the packet's id gets this name, or has it already
    bool in_any_order = false;  // other packets may come before it
    std::uint32_t times = 1;
    Duration time;  // within; nothing: for
};

struct NetworkStep {
    enum class Kind : std::uint8_t { cut, reset, slow, heal };
    Kind kind = Kind::cut;
    std::vector<std::size_t> actors;
};

struct ServerStep {
    enum class Kind : std::uint8_t { start, stop, kill, restart, lose_power, fill_disk, mend_disk };
    Kind kind = Kind::restart;
};

struct WaitStep {
    Duration time;
};

struct Step {
    std::uint32_t line = 0;
    std::string text;  // as it was written
    std::variant<ActStep, ExpectStep, NetworkStep, ServerStep, WaitStep> what;
};

struct Actor {
    std::string name;
    std::string client_id;  // its name, if nothing else was said
};

/// How the server is started.
struct ServerOptions {
    std::uint16_t shards = 2;
    std::uint32_t packet_bytes_max = 0;  // 0: the server's own choice
    bool allow_anonymous = true;
    broker::Durability durability = broker::Durability::none;
    std::string policies;  // YAML, over those compiled in; empty: none
    std::string registry;  // CSV with credentials; empty: none
};

struct Scenario {
    std::string name;  // the promise: the file's name without its folder and ending
    std::string file;
    ServerOptions server;
    std::vector<Actor> actors;
    std::vector<Step> steps;
    /// It says something of the machine that only a virtual one can be told.
    bool needs_virtual_machine = false;
};

/// Errors  everything that is wrong, each with file, line, value and remedy.
[[nodiscard]] Result<Scenario, Problems> parse_scenario(const std::string& file,
                                                        std::string_view text);

}  // namespace mitu::sim::scenario
