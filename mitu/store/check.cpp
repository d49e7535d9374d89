#include "mitu/store/check.hpp"

#include <map>
#include <set>
#include <string_view>

#include "mitu/store/key.hpp"
#include "mitu/store/record.hpp"

namespace mitu::store {

std::string printable(ByteView key) {
    std::string text;
    for (const std::uint8_t byte : key) {
        if (byte >= 0x20 && byte < 0x7F) {
            text += static_cast<char>(byte);
        } else {
            constexpr std::string_view digits = "0123456789abcdef";
            text += "\\x";
            text += digits[byte >> 4];
            text += digits[byte & 15];
        }
    }
    return text;
}

namespace {

constexpr std::uint64_t rows_between_questions = 4'096;

class Checker {
public:
    Checker(Engine& engine, const CheckOptions& options) : engine_{engine}, options_{options} {}

    Result<CheckReport, Error> check() {
        for (std::size_t i = 0; i < family_count; ++i) {
            const auto rows = engine_.scan(family_at(i), {}, {});
            while (rows->next()) {
                if (++report_.rows[i] % rows_between_questions == 0 && options_.goes_on &&
                    !options_.goes_on()) {
                    return std::unexpected(Error{ErrorKind::closed, "the check was ended"});
                }
                report_.bytes[i] += rows->key().size() + rows->value().size();
                look_at(family_at(i), rows->key(), rows->value());
            }
            if (auto error = rows->error()) {
                if (error->kind != ErrorKind::damaged) return std::unexpected(*error);
                report_.is_complete = false;
                find(family_at(i), {}, "the rows that follow cannot be read: " + error->detail);
            }
        }
        if (report_.is_complete) compare_counts();
        return std::move(report_);
    }

private:
    void find(Family family, ByteView key, std::string_view what, bool is_harmless = false) {
        ++report_.findings_total;
        report_.harmless_total += is_harmless;
        if (report_.findings.size() >= options_.findings_max) return;
        const std::string row = key.empty() ? "" : printable(key) + ": ";
        report_.findings.push_back({family, row + std::string{what}, is_harmless});
    }

    void look_at(Family family, ByteView key, ByteView value) {
        switch (family) {
            case Family::sessions: {
                const auto session = decode_session(value);
                if (!name_of(key) || !session) return find(family, key, "cannot be read");
                if (!sessions_.insert(session->id.value).second) {
                    find(family, key, "its id is that of another session");
                }
                report_.expired += session->expires_at <= options_.wall;
                return;
            }
            case Family::subscriptions:
                if (key.size() <= 8 || !decode_subscription(value)) {
                    return find(family, key, "cannot be read");
                }
                return belongs_to_session(family, key);
            case Family::wills:
                return look_at_will(key, value);
            case Family::inbound:
                if (key.size() != 10) return find(family, key, "cannot be read");
                return belongs_to_session(family, key);
            case Family::flight:
                if (key.size() != 16 || !decode_flight(value)) {
                    return find(family, key, "cannot be read");
                }
                return belongs_to_session(family, key);
            case Family::queue:
                belongs_to_session(family, key);
                return look_at_entry(family, key, value);
            case Family::streams:
                return look_at_entry(family, key, value);
            case Family::messages: {
                const auto message = decode_message(value);
                if (key.size() != 8 || !message) return find(family, key, "cannot be read");
                messages_.insert(id_of(key).value_or(0));
                report_.expired += message->expires_at <= options_.wall;
                return;
            }
            case Family::references: {
                if (key.size() != 16) return find(family, key, "cannot be read");
                ++counts_[id_of(key).value_or(0)];
                return;
            }
            case Family::retained: {
                const auto message = decode_message(value);
                if (!name_of(key) || !message) return find(family, key, "cannot be read");
                report_.expired += message->expires_at <= options_.wall;
                return;
            }
            case Family::cursors:
                if (key.size() != 16 || value.size() != 8)
                    return find(family, key, "cannot be read");
                cursors_.insert(key_of(*second_id_of(key), *id_of(value), *id_of(key)));
                return belongs_to_session(family, key);
            case Family::stream_order:
                if (key.size() != 24) return find(family, key, "cannot be read");
                if (!cursors_.erase(to_bytes(key)) && report_.is_complete) {
                    find(family, key, "no cursor stands there");
                }
                return;
            case Family::stream_names:
                if (!name_of(key) || value.size() != 8) find(family, key, "cannot be read");
                return;
            case Family::values:
                if (!name_of(key)) find(family, key, "cannot be read");
                return;
            case Family::released:
            case Family::discards:
                if (key.size() != 8) find(family, key, "cannot be read");
                return;
            case Family::meta:
                return;
        }
    }

    void look_at_entry(Family family, ByteView key, ByteView value) {
        const auto entry = decode_queue_entry(value);
        if (key.size() != 16 || !entry) return find(family, key, "cannot be read");
        report_.expired += entry->expires_at <= options_.wall;
        if (entry->message.value != 0) {
            ++references_[entry->message.value];
        } else if (!decode_message(entry->body)) {
            find(family, key, "its message cannot be read");
        }
    }

    /// One that is due outlasts its session, until its message is stored.
    void look_at_will(ByteView key, ByteView value) {
        const bool is_due = key.size() == due_key_bytes;
        if (is_due ? !decode_count(value) : key.size() != will_key_bytes || !decode_will(value)) {
            return find(Family::wills, key, "cannot be read");
        }
        const SessionId session{id_of(key).value_or(0)};
        const WillId will{second_id_of(key).value_or(0)};
        const auto beside =
            engine_.get(Family::wills, is_due ? key_of(session, will) : key_of_due(session, will));
        const bool is_there = beside && *beside;
        if (is_due && !is_there) find(Family::wills, key, "there is no such will", true);
        if (is_due || is_there || session.value == 0) return;
        belongs_to_session(Family::wills, key);
    }

    /// A session that has ended leaves rows for a while. Ids are never used again, so they are
    /// nobody's.
    void belongs_to_session(Family family, ByteView key) {
        if (!report_.is_complete) return;  // it may be among what cannot be read
        const std::uint64_t session = id_of(key).value_or(0);
        if (sessions_.contains(session)) return;
        const auto discarded = engine_.get(Family::discards, key_of(session));
        if (discarded && *discarded) return;
        find(family, key, "there is no such session");
    }

    void compare_counts() {
        for (const auto& [message, count] : references_) {
            const auto counted = counts_.find(message);
            const std::int64_t found = counted == counts_.end() ? 0 : counted->second;
            const bool is_there = messages_.contains(message);
            if (!is_there) {
                find(Family::queue, key_of(message),
                     std::to_string(count) + " entries name this message, which is not there",
                     true);
            } else if (found != count) {
                find(Family::references, key_of(message),
                     "counts " + std::to_string(found) + ", but " + std::to_string(count) +
                         " entries name it");
            }
        }
        for (const std::uint64_t message : messages_) {
            if (references_.contains(message)) continue;
            const auto released = engine_.get(Family::released, key_of(message));
            const bool is_on_its_way = released && *released;
            if (!is_on_its_way) find(Family::messages, key_of(message), "no entry names it", true);
        }
        for (const Bytes& order : cursors_) {
            find(Family::cursors, order, "the cursor has no place in the order of its stream");
        }
    }

    Engine& engine_;
    const CheckOptions& options_;
    CheckReport report_;
    std::set<std::uint64_t> sessions_;
    std::set<std::uint64_t> messages_;
    std::set<Bytes> cursors_;
    std::map<std::uint64_t, std::int64_t> counts_;
    std::map<std::uint64_t, std::int64_t> references_;
};

}  // namespace

Result<CheckReport, Error> check(Engine& engine, const CheckOptions& options) {
    return Checker{engine, options}.check();
}

}  // namespace mitu::store
