#include "mitu/store/transfer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "mitu/store/key.hpp"
#include "mitu/store/record.hpp"
#include "mitu/store/schema.hpp"

namespace mitu::store {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t import_bytes_max = 1U << 20;  // of one write

std::string to_hex(ByteView bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

std::optional<Bytes> from_hex(std::string_view text) {
    const auto digit = [](char each) -> int {
        if (each >= '0' && each <= '9') return each - '0';
        if (each >= 'a' && each <= 'f') return each - 'a' + 10;
        if (each >= 'A' && each <= 'F') return each - 'A' + 10;
        return -1;
    };
    if (text.size() % 2 != 0) return std::nullopt;
    Bytes bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const int high = digit(text[i]);
        const int low = digit(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
    }
    return bytes;
}

std::string about(Family family, ByteView key, ByteView value) {
    std::string text;
    if (const auto name = name_of(key); family == Family::sessions || family == Family::retained ||
                                        family == Family::stream_names ||
                                        family == Family::values) {
        if (name) text = std::string{name->tenant} + "/" + std::string{name->name};
    } else if (family == Family::meta) {
        text = as_text(key);
    } else if (const auto id = id_of(key)) {
        text = std::to_string(*id);
        if (family == Family::subscriptions) {
            text += " ";
            text += as_text(key.subspan(8));
        } else if (const auto second = second_id_of(key)) {
            text += " " + std::to_string(*second);
        }
    }
    std::optional<MessageRecord> message;
    if (family == Family::messages || family == Family::retained) message = decode_message(value);
    if (family == Family::queue || family == Family::streams) {
        if (const auto entry = decode_queue_entry(value); entry && !entry->body.empty()) {
            message = decode_message(entry->body);
        }
    }
    if (message) {
        text += " " + std::string{message->topic} + " " + std::to_string(message->payload.size()) +
                " bytes";
    }
    return text;
}

/// Whether a store reads this value as what its family holds.
bool is_readable(Family family, ByteView key, ByteView value) {
    switch (family) {
        case Family::sessions:
            return name_of(key) && decode_session(value);
        case Family::subscriptions:
            return key.size() > 8 && decode_subscription(value);
        case Family::wills:
            if (key.size() == due_key_bytes) return decode_count(value).has_value();
            return key.size() == will_key_bytes && decode_will(value);
        case Family::inbound:
            return key.size() == 10;
        case Family::queue:
        case Family::streams:
            return key.size() == 16 && decode_queue_entry(value);
        case Family::flight:
            return key.size() == 16 && decode_flight(value);
        case Family::messages:
            return key.size() == 8 && decode_message(value);
        case Family::references:
            return key.size() == 16 && value.empty();
        case Family::released:
        case Family::discards:
            return key.size() == 8;
        case Family::stream_names:
            return name_of(key) && value.size() == 8;
        case Family::cursors:
            return key.size() == 16 && value.size() == 8;
        case Family::stream_order:
            return key.size() == 24;
        case Family::retained:
            return name_of(key) && decode_message(value);
        case Family::values:
            return name_of(key).has_value();
        case Family::meta:
            return value.size() == 8;
    }
    return false;
}

Result<std::string, std::string> text_at(const Json& line, const char* name) {
    const auto found = line.find(name);
    if (found == line.end() || !found->is_string()) {
        return std::unexpected(std::string{name} + " is missing or no text");
    }
    return found->get<std::string>();
}

Result<void, ImportProblem> read_head(const std::optional<std::string>& line) {
    const Json head = Json::parse(line.value_or(""), nullptr, false);
    const auto version = head.is_object() ? head.find("mitu_store") : head.end();
    if (!head.is_object() || version == head.end() || !version->is_number_unsigned()) {
        return std::unexpected(
            ImportProblem{1, "this is no export of a store: it begins with {\"mitu_store\": 3}"});
    }
    const auto number = version->get<std::uint64_t>();
    if (number == schema_version) return {};
    return std::unexpected(ImportProblem{
        1, "mitu_store is " + std::to_string(number) + ", this program reads " +
               std::to_string(schema_version) + "; import it with the version that wrote it"});
}

}  // namespace

Result<ImportedRow, std::string> parse_line(std::string_view text) {
    const Json line = Json::parse(text, nullptr, false);
    if (!line.is_object()) return std::unexpected("it is no JSON object");
    const auto family = text_at(line, "family");
    const auto key = text_at(line, "key");
    const auto value = text_at(line, "value");
    for (const auto* part : {&family, &key, &value}) {
        if (!*part) return std::unexpected(part->error());
    }
    const auto found = std::ranges::find(family_names, std::string_view{*family});
    if (found == family_names.end()) {
        return std::unexpected("family is \"" + *family + "\", which is none of a store");
    }
    auto key_bytes = from_hex(*key);
    auto value_bytes = from_hex(*value);
    if (!key_bytes) return std::unexpected("key is not hexadecimal");
    if (!value_bytes) return std::unexpected("value is not hexadecimal");
    ImportedRow row{family_at(static_cast<std::size_t>(found - family_names.begin())),
                    std::move(*key_bytes), std::move(*value_bytes)};
    if (!is_readable(row.family, row.key, row.value)) {
        return std::unexpected("key and value are not those of a row of " + *family);
    }
    return row;
}

Result<std::uint64_t, Error> export_lines(Engine& engine,
                                          const std::function<bool(std::string_view)>& put_line) {
    std::uint64_t count = 0;
    if (!put_line(Json{{"mitu_store", schema_version}}.dump())) return count;
    for (std::size_t i = 0; i < family_count; ++i) {
        const Family family = family_at(i);
        const auto rows = engine.scan(family, {}, {});
        while (rows->next()) {
            const Json line{{"family", to_text(family)},
                            {"key", to_hex(rows->key())},
                            {"value", to_hex(rows->value())},
                            {"about", about(family, rows->key(), rows->value())}};
            // A damaged name may be no UTF-8.
            if (!put_line(line.dump(-1, ' ', false, Json::error_handler_t::replace))) return count;
            ++count;
        }
        if (auto error = rows->error()) return std::unexpected(*error);
    }
    return count;
}

Result<std::uint64_t, ImportProblem> import_lines(
    Engine& engine, const std::function<std::optional<std::string>()>& next_line) {
    for (std::size_t i = 0; i < family_count; ++i) {
        if (!engine.scan(family_at(i), {}, {})->next()) continue;
        return std::unexpected(
            ImportProblem{0, "the store is not empty; import into a new directory"});
    }
    if (auto head = read_head(next_line()); !head) return std::unexpected(head.error());
    Batch batch;
    std::uint64_t count = 0;
    const auto write = [&](bool sync) -> Result<void, ImportProblem> {
        const auto written = engine.write(batch.bytes(), sync);
        batch.clear();
        if (written) return {};
        return std::unexpected(ImportProblem{0, written.error().detail});
    };
    for (std::uint64_t number = 2; auto text = next_line(); ++number) {
        if (text->empty()) continue;
        const auto row = parse_line(*text);
        if (!row) return std::unexpected(ImportProblem{number, row.error()});
        batch.put(row->family, row->key, row->value);
        ++count;
        if (batch.size_bytes() < import_bytes_max) continue;
        if (auto written = write(false); !written) return std::unexpected(written.error());
    }
    if (auto written = write(true); !written) return std::unexpected(written.error());
    return count;
}

}  // namespace mitu::store
