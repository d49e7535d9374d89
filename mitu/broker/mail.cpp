#include "mitu/broker/mail.hpp"

#include <cstring>
#include <type_traits>

#include "mitu/base/check.hpp"

namespace mitu::broker {
namespace {

/// What every record with a message begins with.
struct MessageHeader {
    Instant expires_at;
    LargeBlock* large;
    std::uint64_t publisher_key;
    StoredMessageId stored_id;
    SessionRef publisher;
    std::uint32_t properties_bytes;
    std::uint32_t payload_bytes;
    std::uint32_t recipient_bytes;
    std::uint32_t recipient_count;
    TenantId tenant;
    std::uint16_t topic_bytes;
    mqtt::QoS qos;
    bool retain;
};

struct PublishTail {
    Origin origin;
    std::uint32_t share_serial;
    std::uint8_t attempts;
};

struct SubscriptionHeader {
    std::uint64_t subscriber_key;
    Subscriber subscriber;
    Token token;
    TenantId tenant;
    std::uint16_t filter_bytes;
    std::uint16_t group_bytes;
    bool send_retained;
};

class Writer {
public:
    explicit Writer(MutableByteView out) noexcept : out_{out} {}
    void put(const void* data, std::size_t size) noexcept {
        MITU_CHECK(size <= out_.size());
        if (size != 0) std::memcpy(out_.data(), data, size);
        out_ = out_.subspan(size);
    }
    template <class T>
    void put(const T& value) noexcept {
        static_assert(std::is_trivially_copyable_v<T>);
        put(&value, sizeof value);
    }

private:
    MutableByteView out_;
};

class Reader {
public:
    explicit Reader(ByteView in) noexcept : in_{in} {}
    ByteView take(std::size_t size) noexcept {
        MITU_CHECK(size <= in_.size());
        const ByteView bytes = in_.first(size);
        in_ = in_.subspan(size);
        return bytes;
    }
    template <class T>
    T take() noexcept {
        T value;
        std::memcpy(&value, take(sizeof(T)).data(), sizeof value);
        return value;
    }

private:
    ByteView in_;
};

MessageHeader header_of(const MailedMessage& content, ByteView recipients,
                        std::uint32_t recipient_count) noexcept {
    const MessageView& m = content.message;
    MessageHeader h{};
    h.expires_at = m.expires_at;
    h.large = content.large;
    h.publisher_key = m.publisher_key;
    h.stored_id = m.stored_id;
    h.publisher = m.publisher;
    h.properties_bytes = static_cast<std::uint32_t>(m.properties.size());
    h.payload_bytes = static_cast<std::uint32_t>(m.payload.size());
    h.recipient_bytes = static_cast<std::uint32_t>(recipients.size());
    h.recipient_count = recipient_count;
    h.tenant = m.tenant;
    h.topic_bytes = static_cast<std::uint16_t>(m.topic.size());
    h.qos = m.qos;
    h.retain = m.retain;
    return h;
}

void put_content(Writer& out, const MailedMessage& content) noexcept {
    if (content.large != nullptr) {
        content.large->retain();
        return;
    }
    const MessageView& m = content.message;
    out.put(m.topic.data(), m.topic.size());
    out.put(m.properties.data(), m.properties.size());
    out.put(m.payload.data(), m.payload.size());
}

MailedMessage take_content(Reader& in, const MessageHeader& h) noexcept {
    MailedMessage content;
    content.large = h.large;
    MessageView& m = content.message;
    m.tenant = h.tenant;
    m.qos = h.qos;
    m.retain = h.retain;
    m.expires_at = h.expires_at;
    m.publisher_key = h.publisher_key;
    m.stored_id = h.stored_id;
    m.publisher = h.publisher;
    const std::size_t size = std::size_t{h.topic_bytes} + h.properties_bytes + h.payload_bytes;
    const ByteView bytes = h.large != nullptr ? ByteView{h.large->data(), size} : in.take(size);
    m.topic = as_text(bytes.first(h.topic_bytes));
    m.properties = bytes.subspan(h.topic_bytes, h.properties_bytes);
    m.payload = bytes.subspan(std::size_t{h.topic_bytes} + h.properties_bytes);
    return content;
}

}  // namespace

void RecipientList::add(const MailRecipient& recipient, std::span<const std::uint32_t> identifiers,
                        StoredSessionId kept) {
    std::size_t at = words_.size();
    const std::size_t kept_words = recipient.is_kept != 0 ? sizeof kept / 4 : 0;
    words_.resize(at + sizeof(MailRecipient) / 4 + kept_words + identifiers.size());
    std::memcpy(&words_[at], &recipient, sizeof recipient);
    at += sizeof recipient / 4;
    if (kept_words != 0) std::memcpy(&words_[at], &kept, sizeof kept);
    at += kept_words;
    if (!identifiers.empty()) {
        std::memcpy(&words_[at], identifiers.data(), identifiers.size() * 4);
    }
    ++count_;
}

std::uint64_t inline_bytes(const MailedMessage& content) noexcept {
    return sizeof(MessageHeader) + sizeof(PublishTail) +
           (content.large != nullptr ? 0 : content.message.content_bytes());
}

bool write_publish(memory::Lane& lane, MailKind kind, const PublishMail& mail) {
    const auto size = static_cast<std::uint32_t>(inline_bytes(mail.content));
    const auto room = lane.try_reserve(static_cast<std::uint16_t>(kind), size);
    if (!room) return false;
    Writer out{*room};
    out.put(header_of(mail.content, {}, 0));
    out.put(PublishTail{mail.origin, mail.share_serial, mail.attempts});
    put_content(out, mail.content);
    lane.commit();
    return true;
}

PublishMail read_publish(ByteView record) {
    Reader in{record};
    const auto header = in.take<MessageHeader>();
    const auto tail = in.take<PublishTail>();
    PublishMail mail;
    mail.content = take_content(in, header);
    mail.origin = tail.origin;
    mail.share_serial = tail.share_serial;
    mail.attempts = tail.attempts;
    return mail;
}

bool write_deliver(memory::Lane& lane, const MailedMessage& content, ByteView recipients,
                   std::uint32_t recipient_count) {
    const auto size = static_cast<std::uint32_t>(
        sizeof(MessageHeader) + recipients.size() +
        (content.large != nullptr ? 0 : content.message.content_bytes()));
    const auto room = lane.try_reserve(static_cast<std::uint16_t>(MailKind::deliver), size);
    if (!room) return false;
    Writer out{*room};
    out.put(header_of(content, recipients, recipient_count));
    out.put(recipients.data(), recipients.size());
    put_content(out, content);
    lane.commit();
    return true;
}

DeliverMail read_deliver(ByteView record) {
    Reader in{record};
    const auto header = in.take<MessageHeader>();
    DeliverMail mail;
    mail.recipient_count = header.recipient_count;
    mail.recipients = in.take(header.recipient_bytes);
    mail.content = take_content(in, header);
    return mail;
}

bool write_subscription(memory::Lane& lane, MailKind kind, const SubscriptionMail& mail) {
    const auto size = static_cast<std::uint32_t>(sizeof(SubscriptionHeader) + mail.filter.size() +
                                                 mail.group.size());
    const auto room = lane.try_reserve(static_cast<std::uint16_t>(kind), size);
    if (!room) return false;
    Writer out{*room};
    out.put(SubscriptionHeader{mail.subscriber_key, mail.subscriber, mail.token, mail.tenant,
                               static_cast<std::uint16_t>(mail.filter.size()),
                               static_cast<std::uint16_t>(mail.group.size()), mail.send_retained});
    out.put(mail.filter.data(), mail.filter.size());
    out.put(mail.group.data(), mail.group.size());
    lane.commit();
    return true;
}

SubscriptionMail read_subscription(ByteView record) {
    Reader in{record};
    const auto header = in.take<SubscriptionHeader>();
    SubscriptionMail mail;
    mail.tenant = header.tenant;
    mail.token = header.token;
    mail.subscriber_key = header.subscriber_key;
    mail.subscriber = header.subscriber;
    mail.send_retained = header.send_retained;
    mail.filter = as_text(in.take(header.filter_bytes));
    mail.group = as_text(in.take(header.group_bytes));
    return mail;
}

bool write_completion(memory::Lane& lane, const CompletionMail& mail) {
    const auto room =
        lane.try_reserve(static_cast<std::uint16_t>(MailKind::completion), sizeof mail);
    if (!room) return false;
    Writer{*room}.put(mail);
    lane.commit();
    return true;
}

CompletionMail read_completion(ByteView record) { return Reader{record}.take<CompletionMail>(); }

bool write_announce(memory::Lane& lane, MailKind kind, const AnnounceMail& mail) {
    const auto room = lane.try_reserve(static_cast<std::uint16_t>(kind), sizeof mail);
    if (!room) return false;
    Writer{*room}.put(mail);
    lane.commit();
    return true;
}

AnnounceMail read_announce(ByteView record) { return Reader{record}.take<AnnounceMail>(); }

bool write_connection(memory::Lane& lane, const ConnectionMail& mail) {
    const auto room =
        lane.try_reserve(static_cast<std::uint16_t>(MailKind::connection), sizeof mail);
    if (!room) return false;
    Writer{*room}.put(mail);
    lane.commit();
    return true;
}

ConnectionMail read_connection(ByteView record) { return Reader{record}.take<ConnectionMail>(); }

}  // namespace mitu::broker
