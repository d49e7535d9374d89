// What clients may do changes while they are here.

#include "mitu/broker/shard.hpp"
#include "mitu/trace/log.hpp"

namespace mitu::broker {

using mqtt::ReasonCode;

void Shard::adopt_profile(const SessionRef& self, std::shared_ptr<const Profile> profile) {
    Session* const session = sessions_.get(self);
    if (session == nullptr) return;
    SessionNotes& notes = sessions_.notes(self);
    if (notes.profile == profile) return;
    const std::uint32_t had = notes.subscription_count;
    // The old one stays until the session has let go of it.
    std::swap(notes.profile, profile);
    Effects effects{turn_memory_};
    const std::shared_ptr<const Profile> adopted = notes.profile;
    std::uint32_t lost = 0;
    if (!guarded(self, [&] { lost = session->adopt_profile(*adopted, effects); })) return;
    if (lost != 0) {
        counters_.subscriptions_revoked_total.add(lost);
        trace::log(trace::Level::info, "subscriptions_revoked",
                   {{"client", session->client_id()}, {"count", lost}, {"of", had}});
    }
    apply(*session, find(session->connection()), effects);
}

std::optional<std::uint32_t> Shard::renew_profiles(std::uint32_t first, std::uint32_t count,
                                                   const RenewProfile& renew, Instant now) {
    now_ = now;
    // What happens to one may end it: first whom, then what.
    std::vector<SessionRef> visited;
    const auto next = sessions_.visit_from(first, count, [&](const Session& session) {
        visited.push_back(session.self());
        return true;
    });
    for (const SessionRef& ref : visited) {
        Session* const session = sessions_.get(ref);
        if (session == nullptr) continue;
        const SessionNotes& notes = sessions_.notes(ref);
        if (notes.profile == nullptr) continue;
        auto profile = renew(session->tenant(), session->client_id(), notes.profile);
        if (profile != nullptr) {
            adopt_profile(ref, std::move(profile));
            continue;
        }
        refuse(*session, find(session->connection()), ReasonCode::not_authorized,
               "this client is not admitted any more", Parting::lost);
        if (Session* const still = sessions_.get(ref)) {
            Effects effects{turn_memory_};
            if (guarded(ref, [&] { still->end(now_, effects); })) apply(*still, nullptr, effects);
        }
    }
    bury_broken();
    return next;
}

std::optional<std::uint32_t> Shard::dismiss(std::uint32_t first, std::uint32_t count,
                                            const JudgePresent& judge, Instant now) {
    now_ = now;
    std::vector<std::pair<SessionRef, Refusal>> leaving;
    const auto next = sessions_.visit_from(first, count, [&](const Session& session) {
        const Connection* const connection = find(session.connection());
        if (!session.is_attached() || connection == nullptr) return true;
        auto why = judge({session.tenant(), session.client_id(), user_of(*connection, session),
                          connection->peer.ip});
        if (why) leaving.emplace_back(session.self(), *std::move(why));
        return true;
    });
    for (const auto& [ref, why] : leaving) {
        Session* const session = sessions_.get(ref);
        if (session == nullptr || !session->is_attached()) continue;
        refuse(*session, find(session->connection()), why.reason, why.text, Parting::lost);
    }
    bury_broken();
    return next;
}

}  // namespace mitu::broker
