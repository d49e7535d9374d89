// The bytes of rows may be damaged: what decodes is encoded to bytes that decode to the same, and
// nothing is read outside.

#include <cstdlib>

#include "mitu/store/key.hpp"
#include "mitu/store/record.hpp"
#include "mitu/store/transfer.hpp"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace mitu;
    using namespace mitu::store;
    const ByteView bytes{data, size};
    if (const auto message = decode_message(bytes)) {
        Bytes again;
        encode(*message, again);
        const auto back = decode_message(again);
        require(back && back->topic == message->topic && equal(back->payload, message->payload) &&
                back->expires_at == message->expires_at);
    }
    if (const auto entry = decode_queue_entry(bytes)) {
        require(entry->identifier_count <= QueueEntry::identifiers_max);
        if (entry->message.value == 0) (void)decode_message(entry->body);
    }
    if (const auto session = decode_session(bytes)) {
        Bytes again;
        encode(*session, again);
        const auto back = decode_session(again);
        require(back && back->id == session->id && back->expires_at == session->expires_at);
    }
    (void)decode_subscription(bytes);
    (void)decode_will(bytes);
    (void)decode_flight(bytes);
    (void)decode_count(bytes);
    (void)name_of(bytes);
    (void)second_id_of(bytes);
    (void)end_of_prefix(bytes);
    (void)parse_line(as_text(bytes));
    return 0;
}
