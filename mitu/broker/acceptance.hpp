#pragma once
// Acceptance: what a CONNECT will get, settled before anything of the client's state is touched.

#include <cstdint>
#include <optional>
#include <string_view>

#include "mitu/base/result.hpp"
#include "mitu/broker/limits.hpp"
#include "mitu/broker/message_store.hpp"
#include "mitu/broker/profile.hpp"
#include "mitu/mqtt/packet.hpp"

namespace mitu::broker {

/// The client's wishes within our limits and its policy.
struct ConnectTerms {
    std::uint32_t expiry_s = 0;
    std::uint16_t keep_alive_s = 0;
    std::uint32_t packet_bytes_max = mqtt::packet_bytes_limit;
};

struct StoredWill {
    MessageHandle message;
    std::uint32_t delay_s = 0;
    std::optional<std::uint32_t> expiry_s{};
    StoredWillId id{};
    SessionRef session{};  // whose it is
};

/// Who asks to be let in.
/// Lifetime  borrows; a CONNACK made for it borrows `client_id` and `authentication_data`.
struct Applicant {
    TenantId tenant;
    std::string_view client_id;
    const Profile& profile;
    bool client_id_assigned = false;
    std::string_view authentication_data;  // the server's last, of an exchange
    std::uint32_t packet_bytes_max = 0;    // what it may send through its listener; 0: the server's
};

/// A CONNECT that nothing speaks against. Who is refused finds the session, its will and a
/// connection that has it as they were, because all that may fail was done here.
/// Lifetime  `messages` outlives it, and so does the applicant's client id. A will that nobody has
///           taken goes with it.
class Acceptance {
public:
    /// Errors  why it is refused: the will is not allowed, or there is no room for it; or the
    ///         client could not even take the CONNACK.
    [[nodiscard]] static Result<Acceptance, mqtt::ReasonCode> judge(const mqtt::Connect& connect,
                                                                    const Applicant& applicant,
                                                                    const Limits& limits,
                                                                    MessageStore& messages);
    ~Acceptance();
    Acceptance(Acceptance&& other) noexcept;
    Acceptance& operator=(Acceptance&&) = delete;
    Acceptance(const Acceptance&) = delete;
    Acceptance& operator=(const Acceptance&) = delete;

    [[nodiscard]] const ConnectTerms& terms() const noexcept { return terms_; }
    [[nodiscard]] mqtt::Connack connack(bool session_present) const;
    /// The will and its reference, as published by `session`. Once.
    [[nodiscard]] std::optional<StoredWill> take_will(const SessionRef& session) noexcept;

private:
    explicit Acceptance(MessageStore& messages) noexcept : messages_{&messages} {}

    MessageStore* messages_;
    bool tells_session_present_ = true;  // not in 3.1
    ConnectTerms terms_;
    mqtt::Connack connack_;
    std::optional<StoredWill> will_;
};

}  // namespace mitu::broker
